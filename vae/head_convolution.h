// The last convolution of the decoder: many channels to three colours, or to the planes of pixel patches.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "vae/causal_conv3d.h"

namespace flashblock {

/// conv(SiLU(RMS(x))), 3x3x3, to pixels. A convolution to three channels leaves matrix units idle, so on CUDA it is
/// one matrix product that computes every position's contribution to each of the 27 taps x 3 colours, then one pass
/// that sums the contributions of a pixel's 27 neighbours; more planes are an ordinary convolution. Numerics:
/// contributions rounded to the compute dtype, summed in float32; elsewhere as Convolution.
class HeadConvolution {
 public:
  HeadConvolution(std::string slot, const ConvWeights& weights, at::ScalarType dtype);

  /// Shape: frames [T, H, W, C]; gamma [C] float32; result [T, planes, H, W] float32.
  at::Tensor forward(const at::Tensor& frames, const at::Tensor& gamma, FeatureCache& cache) const;

  LayerMemory memory() const { return convolution_.memory(); }

  static constexpr int64_t kColours = 3;
  static constexpr int64_t kTaps = 27;

 private:
  CausalConv3d convolution_;
  at::Tensor tap_weights_;  ///< [kTaps * kColours, C], row tap * kColours + colour; CUDA only
  at::Tensor bias_;         ///< [3] float32; CUDA only
};

}  // namespace flashblock
