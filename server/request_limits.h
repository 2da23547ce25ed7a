// What one client may send, and how long it may take.
#pragma once

#include <chrono>
#include <cstddef>

namespace flashblock {

/// The largest request that is accepted.
struct RequestLimits {
  size_t head_bytes = 16 * 1024;  ///< request line and headers
  size_t headers = 64;
  size_t target_bytes = 8000;  ///< path and query; RFC 9110, section 4.1, recommends at least 8000
  size_t body_bytes = 64 * 1024;
};

/// How long a client may take.
struct ConnectionTimes {
  std::chrono::milliseconds request{10'000};  ///< from a request's first byte to its last
  std::chrono::milliseconds idle{15'000};     ///< between two requests
  std::chrono::milliseconds write{15'000};    ///< without accepting a single byte of the response
};

}  // namespace flashblock
