#include "pipeline/frame_block.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/check.h"
#include "core/error.h"

namespace flashblock {

VideoPlan VideoPlan::for_frames(const VideoGeometry& geometry, int64_t initial_frames, int64_t frames_per_block,
                                int64_t frames, int64_t lead_frames) {
  FB_CHECK(frames > 0 && frames_per_block > 0 && initial_frames >= 0 && lead_frames <= frames_per_block);
  const int64_t initial_video_frames = geometry.frames_of(initial_frames);
  const int64_t latent_frames = geometry.latent_frames_for(initial_video_frames + frames) - initial_frames;
  const int64_t lead = initial_frames == 0 ? lead_frames : 0;
  return {.initial_frames = initial_frames,
          .frames_per_block = frames_per_block,
          .blocks = (lead > 0 ? 1 : 0) + (latent_frames - lead + frames_per_block - 1) / frames_per_block,
          .frames = initial_video_frames + frames,
          .lead_frames = lead_frames};
}

VideoPlan VideoPlan::for_noise(const VideoGeometry& geometry, int64_t initial_frames, int64_t frames_per_block,
                               int64_t latent_frames, int64_t lead_frames) {
  const int64_t lead = initial_frames == 0 ? lead_frames : 0;
  if (latent_frames <= 0 || latent_frames < lead || (latent_frames - lead) % frames_per_block != 0) {
    throw ConfigError("noise of " + std::to_string(latent_frames) +
                      " latent frames is not a whole number of frame blocks of " + std::to_string(frames_per_block) +
                      (lead > 0 ? " after the first frame" : "") + ": use a multiple" + (lead > 0 ? " plus one" : "") +
                      ", or set recipe.frames_per_block");
  }
  return {.initial_frames = initial_frames,
          .frames_per_block = frames_per_block,
          .blocks = (lead > 0 ? 1 : 0) + (latent_frames - lead) / frames_per_block,
          .frames = geometry.frames_of(initial_frames + latent_frames),
          .lead_frames = lead_frames};
}

int64_t VideoPlan::block_at(double seconds, int64_t fps, const VideoGeometry& geometry) const {
  const auto frame = static_cast<int64_t>(std::floor(seconds * static_cast<double>(fps) + 1e-9));
  if (frame >= frames) {
    std::ostringstream message;
    message << "the prompt at " << seconds << " s is after the end: the video has " << frames << " frames, "
            << static_cast<double>(frames) / static_cast<double>(fps) << " s";
    throw ConfigError(message.str(), {.key = "timeline",
                                      .remedies = {{"give an earlier time, or render a longer video", "seconds", ""}}});
  }
  const int64_t latent_frame = geometry.latent_frames_for(frame + 1) - 1;
  int64_t found = 0;
  while (block(found + 1).start_frame <= latent_frame) ++found;
  return found;
}

double VideoPlan::seconds_of(int64_t index, int64_t fps, const VideoGeometry& geometry) const {
  const int64_t before = block(index).start_frame;
  return before == 0 ? 0 : static_cast<double>(geometry.frames_of(before)) / static_cast<double>(fps);
}

}  // namespace flashblock
