#include "server/video_server.h"

#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "core/html_page.h"
#include "server/file_answer.h"
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
  GuardOptions options{.token = access.token, .hosts = access.hosts, .origins = access.origins, .port = port};
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) options.hosts.emplace_back(name.data());
  for (std::string& host : options.hosts) host = lower_case(host);
  return options;
}

}  // namespace

VideoServer::VideoServer(const HttpServerOptions& http, const AccessOptions& access, VideoService service)
    : shown_token_(access.drawn_token ? access.token : ""),
      signer_(access.token),
      http_(checked(http, access)),
      guard_(guard_options(access, http_.port())) {
  service.signer = &signer_;
  http_.set_gate([this](const auto& request, auto& response) { return guard_.answer_instead(request, response); },
                 [this](const auto& request, auto& response) { guard_.add_headers(request, response); });
  add_site_routes(service);
  add_stream_routes(http_, service.streams, &service.catalog);
  add_video_routes(http_, service);
  add_event_route(http_, service.catalog, service.streams, signer_);
}

std::string VideoServer::url() const {
  const std::string& address = http_.address();
  const std::string host = address.find(':') == address.npos ? address : "[" + address + "]";
  return "http://" + host + ":" + std::to_string(http_.port()) + "/" +
         (shown_token_.empty() ? "" : "?token=" + shown_token_);
}

void VideoServer::add_site_routes(const VideoService& service) {
  http_.route("GET", "/", [policy = page_policy(main_page())](const HttpRequest& request, HttpResponse& response) {
    send_fixed_text(main_page(), "text/html; charset=utf-8", request, response);
    response.set_header("Content-Security-Policy", policy);
  });
  http_.route("GET", "/openapi.json", [](const HttpRequest& request, HttpResponse& response) {
    send_fixed_text(openapi_text(), "application/json", request, response);
  });
  http_.route("GET", "/healthz", [service](const HttpRequest&, HttpResponse& response) {
    nlohmann::ordered_json health = {{"status", "ok"}};
    if (const auto hold = service.catalog.held()) {
      health = {{"status", "waiting"}, {"code", hold->code}, {"message", hold->message}};
    }
    response.set_content(json_text(health, -1), "application/json");
  });
  http_.route("GET", "/metrics", [this, service](const HttpRequest&, HttpResponse& response) {
    response.set_content(metrics_text(http_, service.catalog, service.streams.counts()),
                         "text/plain; version=0.0.4; charset=utf-8");
  });
}

}  // namespace flashblock
