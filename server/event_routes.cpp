#include "server/event_routes.h"

#include <httplib.h>

#include <memory>
#include <nlohmann/json.hpp>

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

/// How long a listener waits for news before it is looked at whether it is still there.
constexpr std::chrono::milliseconds kLook{250};
/// Without news, a comment says that the connection lives: proxies close those that are silent.
constexpr std::chrono::seconds kSilence{15};

std::string event(const char* name, const Json& data) {
  return std::string("event: ") + name + "\ndata: " + data.dump(-1, ' ', false, Json::error_handler_t::replace) +
         "\n\n";
}

/// One listener. It is sent what is true when it is ready for it, not what was true in between: a slow one misses
/// steps, and nothing is kept for it.
class Listener {
 public:
  explicit Listener(const VideoService& service) : service_(service) { ++service_.streams.counts().events; }
  ~Listener() { --service_.streams.counts().events; }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  bool serve(httplib::DataSink& sink) {
    std::string text;
    if (!begun_) text = "retry: 1000\n\n";
    const VideoChanges changes = service_.catalog.wait_for_changes(revision_, begun_ ? kLook : kLook * 0);
    for (const ListedVideo& listed : changes.videos) {
      text += event("video", video_object(listed.video, listed.queue_position));
    }
    for (const std::string& id : changes.deleted) text += event("deleted", {{"id", id}});
    begun_ = true;
    revision_ = changes.revision;
    const auto now = std::chrono::steady_clock::now();
    if (text.empty() && now - last_ >= kSilence) text = ": still here\n\n";
    if (text.empty()) return sink.is_writable();
    last_ = now;
    return sink.write(text.data(), text.size());
  }

 private:
  VideoService service_;
  bool begun_ = false;
  int64_t revision_ = 0;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace

void add_event_route(HttpServer& server, const VideoService& service) {
  server.route("GET", "/v1/events", [service](const httplib::Request& request, httplib::Response& response) {
    const auto listener = std::make_shared<Listener>(service);
    const auto provider = [listener](size_t, httplib::DataSink& sink) { return listener->serve(sink); };
    response.status = 200;
    response.set_header("X-Accel-Buffering", "no");  // nginx would hold events back
    if (request.version == "HTTP/1.0") {
      response.set_content_provider("text/event-stream", provider);
    } else {
      response.set_chunked_content_provider("text/event-stream", provider);
    }
  });
}

}  // namespace flashblock
