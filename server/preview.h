// Serves a video while a command renders it.
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
  /// `prompts`: where prompts from viewers go; a replayed recording takes none. Throws: ConfigError for an address that
  /// cannot be used.
  Preview(const ServerSettings& settings, const RenderSetup& setup, std::shared_ptr<LivePrompts> prompts);

  std::string url() const { return server_.url(); }
  /// Shows the events of the render to viewers, and passes them on to `next`.
  std::unique_ptr<RenderObserver> observe(RenderObserver& next);
  /// Marks the video as complete and lets viewers receive the rest of it: returns when none is left, at the latest
  /// after `most`, or when `stop` is requested.
  void end(std::chrono::milliseconds most, const std::stop_token& stop);

 private:
  VideoCatalog catalog_;
  VideoStreams streams_;
  Video video_;
  VideoServer server_;
};

}  // namespace flashblock
