// Synthetic frames for the encoder: a model with random weights makes only noise.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace flashblock {

/// Drifting waves with grain: about as hard to encode as a video. The blocks repeat; each begins a GOP.
class DrawnFrames {
 public:
  /// For blocks of up to `frames` frames. Draws all of them.
  DrawnFrames(int64_t height, int64_t width, int64_t frames);

  /// Shape: returns [T, H, W, 3] uint8 on the CPU, a view.
  at::Tensor block(int64_t index, int64_t frames) const;

 private:
  int64_t frames_;
  at::Tensor video_;  // [kBlocks * frames, H, W, 3]
};

}  // namespace flashblock
