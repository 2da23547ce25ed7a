#include "pipeline/frame_block.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/check.h"
#include "core/error.h"

namespace flashblock {

FilmPlan FilmPlan::for_pictures(const VideoGeometry& geometry, int64_t initial_frames, int64_t frames_per_block,
                                int64_t pictures) {
  FB_CHECK(pictures > 0 && frames_per_block > 0 && initial_frames >= 0);
  const int64_t initial_pictures = geometry.frames_of(initial_frames);
  const int64_t latent_frames = geometry.latent_frames_for(initial_pictures + pictures) - initial_frames;
  return {.initial_frames = initial_frames,
          .frames_per_block = frames_per_block,
          .blocks = (latent_frames + frames_per_block - 1) / frames_per_block,
          .pictures = initial_pictures + pictures};
}

FilmPlan FilmPlan::for_noise(const VideoGeometry& geometry, int64_t initial_frames, int64_t frames_per_block,
                             int64_t latent_frames) {
  if (latent_frames <= 0 || latent_frames % frames_per_block != 0) {
    throw ConfigError("noise of " + std::to_string(latent_frames) +
                      " latent frames is not a whole number of frame blocks of " + std::to_string(frames_per_block) +
                      ": give a multiple, or set recipe.frames_per_block");
  }
  return {.initial_frames = initial_frames,
          .frames_per_block = frames_per_block,
          .blocks = latent_frames / frames_per_block,
          .pictures = geometry.frames_of(initial_frames + latent_frames)};
}

int64_t FilmPlan::block_at(double seconds, int64_t fps, const VideoGeometry& geometry) const {
  const auto picture = static_cast<int64_t>(std::floor(seconds * static_cast<double>(fps) + 1e-9));
  if (picture >= pictures) {
    std::ostringstream message;
    message << "the prompt at " << seconds << " s comes after the end: the film has " << pictures << " pictures, "
            << static_cast<double>(pictures) / static_cast<double>(fps)
            << " s; give an earlier time, or a longer film with --seconds";
    throw ConfigError(message.str());
  }
  const int64_t latent_frame = geometry.latent_frames_for(picture + 1) - 1;
  return std::max<int64_t>(0, latent_frame - initial_frames) / frames_per_block;
}

double FilmPlan::seconds_of(int64_t index, int64_t fps, const VideoGeometry& geometry) const {
  const int64_t before = block(index).start_frame;
  return before == 0 ? 0 : static_cast<double>(geometry.frames_of(before)) / static_cast<double>(fps);
}

}  // namespace flashblock
