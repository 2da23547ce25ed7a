// HTTP on one client's connection: the only place that names Boost.Beast.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "core/file_descriptor.h"
#include "server/api_error.h"
#include "server/http_message.h"
#include "server/request_limits.h"

namespace flashblock {

/// Reads requests and writes responses; Boost.Beast parses and serializes them. Thread safety: one thread uses it; any
/// thread may call shut_down.
class Connection {
 public:
  /// Counts what is sent in `bytes_sent`. All references outlive the connection.
  Connection(FileDescriptor socket, const RequestLimits& limits, const ConnectionTimes& times,
             std::atomic<int64_t>& bytes_sent);

  /// Waits for the next request. None: the client has disconnected, or its request was answered with an error.
  std::optional<HttpRequest> receive();
  /// Responds to the last request; a response to HEAD has no body. False: the connection cannot be used any more.
  bool respond(HttpResponse response);
  /// Ends the connection, and every wait for it, now.
  void shut_down();

 private:
  /// Responds to a request without reading the rest of it.
  void reject(const HttpError& error);

  FileDescriptor socket_;
  const RequestLimits& limits_;
  const ConnectionTimes& times_;
  std::atomic<int64_t>& bytes_sent_;
  std::string received_;  ///< bytes that belong to the next request
  /// What the response to the last request depends on.
  struct Pending {
    bool head_only = false;   ///< HEAD
    bool chunks = false;      ///< HTTP/1.1, where a body of unknown length is sent in chunks
    bool stays_open = false;  ///< for another request
  } pending_;
};

}  // namespace flashblock
