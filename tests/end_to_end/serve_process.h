// The server of `flashblock serve` for tests, with a small model.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "server/render_worker.h"
#include "server/video_server.h"
#include "tests/support/raw_client.h"

namespace flashblock::testing {

/// A request for a short video.
inline const nlohmann::json kShortVideo = {{"prompt", "a red hill"}, {"seconds", 2}, {"seed", 7}};

/// `flashblock serve` in this process, on a folder of videos, with or without rendering.
class ServeProcess {
 public:
  enum class Rendering { kOff, kOn };

  ServeProcess(const std::filesystem::path& model_folder, const std::filesystem::path& videos, Rendering rendering)
      : layers_({make_config_layer("-m", "model", YAML::Node(model_folder.string())),
                 make_config_layer("--device", "device", YAML::Node("cpu")),
                 make_config_layer("--dtype", "dtype", YAML::Node("float32"))}),
        planner_(layers_, renderer_.model(resolve_config(layers_)).sizes(), {.seconds = 60}),
        folder_(std::make_shared<const VideoFolder>(videos)),
        catalog_(folder_, /*most_queued=*/2),
        server_({.port = 0}, {},
                {.catalog = catalog_, .streams = streams_, .planner = &planner_, .folder = folder_.get()}) {
    server_.start();
    if (rendering == Rendering::kOn) worker_.emplace(planner_, *folder_, renderer_, catalog_, streams_);
  }

  std::string ask(const std::string& request) const { return exchange(server_.port(), request); }
  nlohmann::json get(const std::string& target) const {
    return nlohmann::json::parse(body_of(ask(get_request(target))));
  }
  nlohmann::json post(const std::string& target, const nlohmann::json& body) const {
    return nlohmann::json::parse(body_of(ask(post_request(target, body.dump()))));
  }
  int port() const { return server_.port(); }
  VideoCatalog& catalog() { return catalog_; }

  /// Waits until `fits` returns true for the video.
  Video wait_for(const std::string& id, const std::function<bool(const Video&)>& fits) {
    for (int64_t revision = 0;;) {
      revision = catalog_.wait_for_changes(revision, std::chrono::seconds(60)).revision;
      const Video video = catalog_.get(id).video;
      if (fits(video)) return video;
    }
  }
  Video wait_for_end(const std::string& id) {
    return wait_for(id, [](const Video& video) { return is_final(video.status); });
  }

 private:
  std::vector<ConfigLayer> layers_;
  Renderer renderer_;
  RequestPlanner planner_;
  std::shared_ptr<const VideoFolder> folder_;
  VideoCatalog catalog_;
  VideoStreams streams_;
  VideoServer server_;
  std::optional<RenderWorker> worker_;
};

}  // namespace flashblock::testing
