// Pictures for an encoder to work on, where a model of random weights makes only noise.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace flashblock {

/// Drifting waves with grain: about as hard to encode as a film is. Blocks repeat after some, each begins a GOP.
class DrawnPictures {
 public:
  /// For blocks of up to `pictures` pictures. Draws them at once.
  DrawnPictures(int64_t height, int64_t width, int64_t pictures);

  /// Shape: returns [T, H, W, 3] uint8 on the CPU, a view.
  at::Tensor block(int64_t index, int64_t pictures) const;

 private:
  int64_t pictures_;
  at::Tensor film_;  // [kBlocks * pictures, H, W, 3]
};

}  // namespace flashblock
