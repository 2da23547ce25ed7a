#include "server/event_routes.h"

#include <nlohmann/json.hpp>

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

/// How long a listener waits for changes before the server checks that it is still connected.
constexpr std::chrono::milliseconds kCheckInterval{250};
/// Without changes, a comment is sent at this interval: proxies close connections on which nothing is sent.
constexpr std::chrono::seconds kKeepAliveInterval{15};

std::string event(const char* name, const Json& data) {
  return std::string("event: ") + name + "\ndata: " + data.dump(-1, ' ', false, Json::error_handler_t::replace) +
         "\n\n";
}

/// Sends every change to one listener until it disconnects. It is sent the state at the time when it is ready to
/// receive, not the states in between: a slow listener skips steps, and nothing is queued for it.
void send_events(const VideoService& service, BodySink& sink) {
  using Clock = std::chrono::steady_clock;
  std::string text = "retry: 1000\n\n";
  VideoChanges changes = service.catalog.wait_for_changes(0, std::chrono::milliseconds(0));
  for (auto last = Clock::now();;) {
    for (const ListedVideo& listed : changes.videos) {
      text += event("video", video_object(listed.video, listed.queue_position));
    }
    for (const std::string& id : changes.deleted) text += event("deleted", {{"id", id}});
    if (text.empty() && Clock::now() - last >= kKeepAliveInterval) text = ": still here\n\n";
    if (text.empty()) {
      if (!sink.is_open()) return;
    } else {
      if (!sink.write(text)) return;
      last = Clock::now();
      text.clear();
    }
    changes = service.catalog.wait_for_changes(changes.revision, kCheckInterval);
  }
}

}  // namespace

void add_event_route(HttpServer& server, const VideoService& service) {
  server.route("GET", "/v1/events", [service](const HttpRequest&, HttpResponse& response) {
    response.set_header("X-Accel-Buffering", "no");  // nginx would hold events back
    response.set_stream("text/event-stream", [service](BodySink& sink) {
      const OpenStream open(service.streams.counts().events);
      send_events(service, sink);
      return false;
    });
  });
}

}  // namespace flashblock
