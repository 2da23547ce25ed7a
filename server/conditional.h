// Validators of what is sent, and requests that depend on them. Source: RFC 9110, sections 8.8, 13 and 5.6.7.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "server/http_message.h"

namespace flashblock {

/// By what a client recognizes that it has the current state of a resource.
struct Validators {
  std::string etag;          ///< strong, with its quotes
  std::time_t modified = 0;  ///< 0: not known
};

/// Adds ETag and Last-Modified.
void set_validators(HttpResponse& response, const Validators& validators);

/// The status of a request whose preconditions decide it: 412 where If-Match or If-Unmodified-Since fails, 304 where
/// the client has the current state; none: the request is answered as if it had no preconditions.
std::optional<int> precondition_status(const HttpRequest& request, const Validators& validators);

/// Whether If-Range, if there is one, allows a part to be sent.
bool range_is_current(const HttpRequest& request, const Validators& validators);

/// `Sun, 06 Nov 1994 08:49:37 GMT`
std::string http_date(std::time_t time);
/// Reads that form and the two obsolete ones; none for any other text.
std::optional<std::time_t> parse_http_date(std::string_view text);

}  // namespace flashblock
