// Convolutions on the matrix units of Hopper GPUs, faster than cuDNN's.
//
// Note "Bordered frames". Frames with one position of zeros on every side: [T, H + 2, W + 2, C] contiguous, the padding
// of a 3x3 convolution stored with them. A tap then reads the same memory moved by a constant number of positions, so
// that a convolution is a sum of matrix products and needs no bounds (note in kernels/hopper_convolution.cu). The
// norm in front writes its result with the border at no cost.
#pragma once

#include <ATen/core/Tensor.h>

#include "vae/convolution.h"
#include "vae/prepared_convolution.h"

namespace flashblock {

/// Causal 3x3x3 convolution of bordered frames, bfloat16: histories and prepared frames are bordered.
/// Numerics: sums in float32 over all taps and channels, with bias and addend rounded once. The order of sums does not
/// depend on the number of frames.
class BorderedConvolution : public PreparedConvolution {
 public:
  /// Whether there is a kernel for these weights on their device: compute capability 9.0, bfloat16, taps of 3x3x3, Cin
  /// a multiple of 32, Cout of 96. LibTorch operators elsewhere, more slowly than Convolution.
  static bool supports(const ConvWeights& weights, at::ScalarType dtype);

  explicit BorderedConvolution(const ConvWeights& weights);

  at::Tensor prepare_normalised(const BiasedFrames& frames, const at::Tensor& gamma) const override;
  at::Tensor prepare(const at::Tensor& frames) const override;
  at::Tensor frame_before_video(const at::Tensor& prepared) const override;

  /// Shape: frames [T, H + 2, W + 2, Cin] bordered.
  void forward(const History& history, const at::Tensor& frames, at::Tensor result) const override;
  void add_to(at::Tensor result, const History& history, const at::Tensor& frames) const override;

  bool prepares_next() const override { return normalises(); }
  at::Tensor forward_prepared(const History& history, const at::Tensor& frames, const at::Tensor& next_gamma,
                              const PreparedConvolution&) const override {
    return forward_normalised(history, frames, next_gamma);
  }

  /// Whether there is a kernel for forward_normalised: Cout 96 or 192.
  bool normalises() const;

  /// SiLU(RMS(x; gamma)), x the result of forward, as bordered frames, rounded once. Shape: gamma [Cout] float32;
  /// result [T, H + 2, W + 2, Cout].
  at::Tensor forward_normalised(const History& history, const at::Tensor& frames, const at::Tensor& gamma) const;

  int64_t out_channels() const override { return weights_.size(3); }

 private:
  void check_result(const at::Tensor& frames, const at::Tensor& result) const;

  at::Tensor weights_;  ///< [3, 3, 3, Cout, Cin]
  at::Tensor bias_;     ///< [Cout] float32 or undefined
};

/// Nearest-neighbour doubling of height and width, then a 3x3 convolution, as four 2x2 convolutions at the small size
/// (DoublingConvolution), each storing its phase of the result directly. bfloat16, sums in float32, rounded once.
class BorderedDoubling {
 public:
  /// Whether there is a kernel for weights of all phases (below), as for BorderedConvolution.
  static bool supports(const ConvWeights& phases, at::ScalarType dtype);

  /// Weights [2 * 2 * Cout, Cin, 2, 2] and bias [2 * 2 * Cout] of the phases.
  explicit BorderedDoubling(const ConvWeights& phases);

  /// Shape: frames [T, H + 2, W + 2, Cin] bordered; result [T, 2H, 2W, Cout].
  at::Tensor forward(const at::Tensor& frames) const;

 private:
  at::Tensor weights_;  ///< [2, 2, 2 * 2 * Cout, Cin]
  at::Tensor bias_;     ///< [2 * 2 * Cout] float32 or undefined
};

/// Reference implementations with LibTorch operators in float32, on any device. Weights and bias as the classes keep
/// them; shapes as in their forward(), result float32.
namespace reference {
at::Tensor causal_convolution(const at::Tensor& weights, const at::Tensor& bias,
                              const BorderedConvolution::History& history, const at::Tensor& frames);
at::Tensor doubling_convolution(const at::Tensor& weights, const at::Tensor& bias, const at::Tensor& frames);
}  // namespace reference

}  // namespace flashblock
