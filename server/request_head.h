// The first lines of an HTTP request, checked before anything else looks at them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

namespace flashblock {

/// What a request may be at most.
struct RequestLimits {
  size_t head_bytes = 16 * 1024;  ///< request line and headers
  size_t headers = 64;
  size_t target_bytes = 512;  ///< path and query
  size_t body_bytes = 64 * 1024;
};

/// Why a request is refused: an HTTP status, a word for programs and a sentence for people.
struct Refusal {
  int status = 400;
  std::string code;
  std::string message;
  std::string param = {};  ///< what of the request is at fault; empty: all of it
};

/// What has to be known of a request to read the rest of it.
struct RequestHead {
  size_t body_bytes = 0;
  bool wants_continue = false;  ///< the client waits for `100 Continue` before it sends the body
  size_t foreign_bytes = 0;     ///< length of a method that nothing here has; 0: it is one of those that are known
};

/// Where the head in `bytes` ends (one past its empty line); npos: not yet.
size_t end_of_head(std::string_view bytes);

/// Checks a whole head, its empty line included. Stricter than HTTP has to be, so that no two programs on the way can
/// read the same bytes differently: lines end in CRLF, one Host, one Content-Length (no chunked requests), at most one
/// byte range. Source: RFC 9112, sections 2.2, 3.2, 5.1, 6.3.
std::variant<RequestHead, Refusal> check_request_head(std::string_view head, const RequestLimits& limits);

}  // namespace flashblock
