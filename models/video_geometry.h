// Sizes of a video in time and space: pixels, latents, tokens. The only source of these sizes.
#pragma once

#include <cstdint>
#include <string>

namespace flashblock {

/// Strides of a video VAE: pixels of the video per latent in space, frames per latent frame in time.
/// Source: Wan2.1 `wan/modules/vae.py`, total stride (4, 8, 8).
struct VaeStrides {
  int64_t time = 4;
  int64_t height = 8;
  int64_t width = 8;
  int64_t upscale = 1;  ///< pixels that are decoded per pixel that is encoded, in each direction
};

/// Strides of the published VAE of so many latent channels: Wan2.1's, or Wan2.2's (4, 16, 16) for 48.
inline VaeStrides published_strides(int64_t latent_channels) {
  constexpr int64_t kWan22Channels = 48;
  return latent_channels == kWan22Channels ? VaeStrides{.height = 16, .width = 16} : VaeStrides{};
}

/// Patch of the transformer, in latents. Source: Wan2.1 `wan/modules/model.py`, patch_size (1, 2, 2).
struct PatchSize {
  int64_t time = 1;
  int64_t height = 2;
  int64_t width = 2;
};

/// Size of a video in pixels, and the sizes derived from it. With a decoder of twice the size it is that of the decoded
/// video; transformer and encoder see half of it in each direction.
struct VideoGeometry {
  int64_t width = 0;   ///< pixels
  int64_t height = 0;  ///< pixels
  VaeStrides strides;
  PatchSize patch;

  int64_t latent_height() const { return height / strides.height; }
  int64_t latent_width() const { return width / strides.width; }
  /// Size at which frames are encoded, in pixels.
  int64_t encoded_width() const { return width / strides.upscale; }
  int64_t encoded_height() const { return height / strides.upscale; }
  int64_t token_rows() const { return latent_height() / patch.height; }
  int64_t token_columns() const { return latent_width() / patch.width; }
  /// Tokens of one latent frame.
  int64_t tokens_per_frame() const { return token_rows() * token_columns(); }

  /// Frames that `latent_frames` decode to: the first latent frame gives one, each later one `strides.time`.
  int64_t frames_of(int64_t latent_frames) const {
    return latent_frames == 0 ? 0 : 1 + strides.time * (latent_frames - 1);
  }
  /// The fewest latent frames that decode to at least `frames` frames.
  int64_t latent_frames_for(int64_t frames) const {
    return frames <= 0 ? 0 : 1 + (frames - 1 + strides.time - 1) / strides.time;
  }

  /// Throws ConfigError unless width and height are positive multiples of stride times patch.
  void validate() const;
};

}  // namespace flashblock
