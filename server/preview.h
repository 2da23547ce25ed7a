// A video that is watched while one command renders it.
#pragma once

#include <memory>
#include <string>

#include "render/render_setup.h"
#include "server/access.h"
#include "server/catalog_observer.h"
#include "server/video_server.h"

namespace flashblock {

/// Serves one video's page and streams while it lives.
class Preview {
 public:
  /// Throws: ConfigError for an address that cannot be had.
  Preview(const ServerSettings& settings, const RenderSetup& setup);

  std::string url() const { return server_.url(); }
  /// Where the video's next prompts come from; null for a replayed record, which has its own.
  std::shared_ptr<LivePrompts> prompts() const { return prompts_; }
  /// Takes what there is to see of the video, and tells `next` the same.
  std::unique_ptr<RenderObserver> observe(RenderObserver& next);
  /// Says that the video is complete, and lets viewers have the rest of it: returns when none is left, at the latest
  /// after `most`, or when `stop` is requested.
  void end(std::chrono::milliseconds most, const std::stop_token& stop);

 private:
  VideoCatalog catalog_;
  VideoStreams streams_;
  Video video_;
  std::shared_ptr<LivePrompts> prompts_;
  VideoServer server_;
};

}  // namespace flashblock
