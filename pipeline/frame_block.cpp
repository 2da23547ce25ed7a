#include "pipeline/frame_block.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/check.h"
#include "core/error.h"

namespace flashblock {

FilmPlan FilmPlan::for_pictures(const VideoGeometry& geometry, int64_t initial_frames, int64_t frames_per_block,
                                int64_t pictures, int64_t lead_frames) {
  FB_CHECK(pictures > 0 && frames_per_block > 0 && initial_frames >= 0 && lead_frames <= frames_per_block);
  const int64_t initial_pictures = geometry.frames_of(initial_frames);
  const int64_t latent_frames = geometry.latent_frames_for(initial_pictures + pictures) - initial_frames;
  const int64_t lead = initial_frames == 0 ? lead_frames : 0;
  return {.initial_frames = initial_frames,
          .frames_per_block = frames_per_block,
          .blocks = (lead > 0 ? 1 : 0) + (latent_frames - lead + frames_per_block - 1) / frames_per_block,
          .pictures = initial_pictures + pictures,
          .lead_frames = lead_frames};
}

FilmPlan FilmPlan::for_noise(const VideoGeometry& geometry, int64_t initial_frames, int64_t frames_per_block,
                             int64_t latent_frames, int64_t lead_frames) {
  const int64_t lead = initial_frames == 0 ? lead_frames : 0;
  if (latent_frames <= 0 || latent_frames < lead || (latent_frames - lead) % frames_per_block != 0) {
    throw ConfigError("noise of " + std::to_string(latent_frames) +
                      " latent frames is not a whole number of frame blocks of " + std::to_string(frames_per_block) +
                      (lead > 0 ? " after the first frame" : "") + ": give a multiple" + (lead > 0 ? " and one" : "") +
                      ", or set recipe.frames_per_block");
  }
  return {.initial_frames = initial_frames,
          .frames_per_block = frames_per_block,
          .blocks = (lead > 0 ? 1 : 0) + (latent_frames - lead) / frames_per_block,
          .pictures = geometry.frames_of(initial_frames + latent_frames),
          .lead_frames = lead_frames};
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
  int64_t found = 0;
  while (block(found + 1).start_frame <= latent_frame) ++found;
  return found;
}

double FilmPlan::seconds_of(int64_t index, int64_t fps, const VideoGeometry& geometry) const {
  const int64_t before = block(index).start_frame;
  return before == 0 ? 0 : static_cast<double>(geometry.frames_of(before)) / static_cast<double>(fps);
}

}  // namespace flashblock
