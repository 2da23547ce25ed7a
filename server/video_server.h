// The whole server: page, API, streams and metrics behind one guard.
#pragma once

#include <string>

#include "server/access.h"
#include "server/http_server.h"
#include "server/request_guard.h"
#include "server/video_routes.h"

namespace flashblock {

/// Serves `service`. The constructor throws ConfigError for an address that is not available, or that other machines
/// can reach without a token.
class VideoServer {
 public:
  VideoServer(const HttpServerOptions& http, const AccessOptions& access, VideoService service);

  void start() { http_.start(); }
  void stop() { http_.stop(); }
  int port() const { return http_.port(); }
  HttpServerCounts counts() const { return http_.counts(); }
  /// The address to open in a browser, with the token if it was drawn: any other is known, and does not belong in a
  /// log.
  std::string url() const;

 private:
  void add_site_routes(const VideoService& service);

  const std::string shown_token_;  ///< a drawn one, which nobody knows who is not told
  const AddressSigner signer_;
  HttpServer http_;
  RequestGuard guard_;
};

}  // namespace flashblock
