// Frame blocks of one video: which latent frames are denoised together, and which frames they decode to.
#pragma once

#include <algorithm>
#include <cstdint>

#include "models/video_geometry.h"

namespace flashblock {

/// Latent frames denoised together.
struct FrameBlock {
  int64_t index = 0;        ///< 0: the first block that is rendered
  int64_t start_frame = 0;  ///< first latent frame, counted from the start of the video
  int64_t frames = 0;       ///< latent frames
};

/// The temporal layout of a video: given latent frames, then rendered frame blocks.
struct VideoPlan {
  int64_t initial_frames = 0;    ///< latent frames of the start (an image, an earlier video)
  int64_t frames_per_block = 3;  ///< latent frames
  int64_t blocks = 0;            ///< frame blocks rendered
  int64_t frames = 0;            ///< frames of the finished video with its start; the rest of the last block is cut
  int64_t lead_frames = 0;   ///< latent frames before the first whole block: 1 if the first frame is a block of its own
  int64_t given_frames = 0;  ///< latent frames of the first rendered block that are given: an image

  int64_t latent_frames() const { return block(blocks).start_frame; }
  /// Blocks of the start.
  int64_t start_blocks() const { return (initial_frames + frames_per_block - 1) / frames_per_block; }
  /// Rendered block `index`.
  FrameBlock block(int64_t index) const { return any_block(start_blocks() + index); }
  /// Block `number` of the whole video with its start, whose blocks have index -1.
  FrameBlock any_block(int64_t number) const {
    const int64_t index = std::max<int64_t>(-1, number - start_blocks());
    if (lead_frames == 0) return {index, number * frames_per_block, frames_per_block};
    if (number == 0) return {index, 0, lead_frames};
    return {index, lead_frames + (number - 1) * frames_per_block, frames_per_block};
  }

  /// The plan of a video of `frames` rendered frames, rounded up to whole frame blocks, then cut. The start, too, is
  /// whole blocks, including the lead.
  static VideoPlan for_frames(const VideoGeometry&, int64_t initial_frames, int64_t frames_per_block, int64_t frames,
                              int64_t lead_frames = 0);
  /// The plan of a video with `latent_frames` latent frames of noise: nothing is cut.
  /// Throws ConfigError unless that is a positive number of whole frame blocks.
  static VideoPlan for_noise(const VideoGeometry&, int64_t initial_frames, int64_t frames_per_block,
                             int64_t latent_frames, int64_t lead_frames = 0);

  /// The block of the frame shown at `seconds`; 0 within the start. Throws ConfigError if that is after the end.
  int64_t block_at(double seconds, int64_t fps, const VideoGeometry&) const;
  /// When the first frame of frame block `index` is shown: block_at(seconds_of(index)) is `index`.
  double seconds_of(int64_t index, int64_t fps, const VideoGeometry&) const;
};

}  // namespace flashblock
