// Checks of a request's target and headers that go beyond HTTP's grammar.
#pragma once

#include <optional>

#include "server/api_error.h"
#include "server/http_message.h"
#include "server/request_limits.h"

namespace flashblock {

/// Checks the head of a request whose grammar Boost.Beast has checked. Stricter than HTTP requires, so that no two
/// programs on the way can read the same request differently: one Host, one length of the body, one of each header that
/// decides anything, no compressed request body. Returns the error to respond with; none if there is no error. Source:
/// RFC 9112, sections 3.2 and 6.3.
std::optional<HttpError> check_request_head(const HttpRequest& request, const RequestLimits& limits);

}  // namespace flashblock
