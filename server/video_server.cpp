#include "server/video_server.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "server/metrics.h"
#include "server/server_pages.h"
#include "server/stream_routes.h"

namespace flashblock {
namespace {

const HttpServerOptions& checked(const HttpServerOptions& http, const AccessOptions& access) {
  check_access(http.address, access);
  return http;
}

GuardOptions guard_options(const AccessOptions& access, int port) {
  GuardOptions options{.token = access.token, .hosts = access.hosts, .port = port};
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) options.hosts.emplace_back(name.data());
  for (std::string& host : options.hosts) {
    std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) { return std::tolower(c); });
  }
  return options;
}

}  // namespace

VideoServer::VideoServer(const HttpServerOptions& http, const AccessOptions& access, const VideoService& service)
    : token_(access.token), http_(checked(http, access)), guard_(guard_options(access, http_.port())) {
  http_.set_gate([this](const auto& request, auto& response) { return guard_.answer_instead(request, response); },
                 RequestGuard::add_headers);
  add_site_routes(service);
  add_stream_routes(http_, service.streams);
  add_video_routes(http_, service);
  add_event_route(http_, service.catalog, service.streams);
}

std::string VideoServer::url() const {
  const std::string& address = http_.address();
  const std::string host = address.find(':') == address.npos ? address : "[" + address + "]";
  return "http://" + host + ":" + std::to_string(http_.port()) + "/" + (token_.empty() ? "" : "?token=" + token_);
}

void VideoServer::add_site_routes(const VideoService& service) {
  http_.route("GET", "/", [policy = page_policy(main_page())](const HttpRequest&, HttpResponse& response) {
    response.set_content(std::string(main_page()), "text/html; charset=utf-8");
    response.set_header("Content-Security-Policy", policy);
  });
  http_.route("GET", "/openapi.json", [](const HttpRequest&, HttpResponse& response) {
    response.set_content(std::string(openapi_text()), "application/json");
  });
  http_.route("GET", "/healthz", [](const HttpRequest&, HttpResponse& response) {
    response.set_content("{\"status\":\"ok\"}\n", "application/json");
  });
  http_.route("GET", "/metrics", [this, service](const HttpRequest&, HttpResponse& response) {
    response.set_content(metrics_text(http_, service.catalog, service.streams.counts()),
                         "text/plain; version=0.0.4; charset=utf-8");
  });
}

}  // namespace flashblock
