// One video after another on a loaded model.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "render/render.h"
#include "settings/render_config.h"

namespace flashblock {

/// A video as `render` would make it, with its NAME.json. Keeps the model for the next video that can share it.
/// Not thread-safe.
class VideoMaker {
 public:
  VideoMaker();
  ~VideoMaker();

  /// Goes on with a video that was interrupted, and leaves one that is complete as it is. config.overwrite: replaces
  /// what is there of another video. Throws: Error; then the model is let go.
  RenderResult make(const RenderConfig& config, RenderObserver& observer, const std::stop_token& stop);

 private:
  struct Kept;
  Kept& model_for(const RenderConfig& config);
  RenderResult make_with(Kept& kept, const RenderConfig& config, RenderObserver& observer, const std::stop_token& stop);

  std::unique_ptr<Kept> kept_;
};

}  // namespace flashblock
