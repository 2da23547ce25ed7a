// Causal convolutions of normalised frames in 8-bit integers.
//
// Note "Planes". For the kernels, frames in 8 bits are [T, C / 16, H + 2, W + 2, 16] uint8: bordered frames
// (bordered_convolution.h) in planes of 16 channels, 16 bytes a position (why: note in
// kernels/hopper_int8_convolution.cu). The border holds what stands for 0.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "vae/convolution.h"
#include "vae/prepared_convolution.h"

namespace flashblock {

/// How SiLU(RMS(x; gamma)) is rounded: y of a channel is q = round(y / step + zero), 0 to 255. Steps come from gamma
/// alone, so they depend on neither frames nor device: a normalised channel is at most sqrt(C) |gamma|, and is cut off
/// above kReach |gamma|, which takes a channel with more than kReach^2 of the C squares of a position. SiLU's lowest
/// value is -0.28, so that nearly all of the 256 numbers are for positive values.
struct Int8Rounding {
  static constexpr double kReach = 8.0;

  explicit Int8Rounding(const at::Tensor& gamma);

  at::Tensor gamma;          ///< [C] float32
  at::Tensor inverse_steps;  ///< [C] float32
  at::Tensor zeros;          ///< [C] float32, whole numbers
};

/// conv(y), 3x3x3, y SiLU(RMS(x; gamma)) as q - zero (Int8Rounding), weights times steps as int8 with one scale per
/// output channel. Sums of integers are exact on Hopper GPUs in bfloat16, where kernels compute convolutions of 96, 192
/// or 384 channels to multiples of 96; elsewhere LibTorch's operators, more slowly than the compute dtype, which sum in
/// float32 and round to the dtype before they scale.
/// Prepared frames are quantised ones.
class Int8Convolution : public PreparedConvolution {
 public:
  /// Weights [Cout, Cin, 3, 3, 3] with bias or without; gamma [Cin] of the norm in front.
  Int8Convolution(const ConvWeights& weights, const at::Tensor& gamma, at::ScalarType dtype);

  /// Shape: x [T, H, W, Cin]; result planes [T, Cin / 16, H + 2, W + 2, 16] uint8 for the kernels, else [T, H, W, Cin],
  /// q - zero in the dtype.
  at::Tensor quantise(const at::Tensor& x) const;

  /// Requires: frames without a bias, and the gamma that this was made with.
  at::Tensor prepare_normalised(const BiasedFrames& frames, const at::Tensor& gamma) const override;
  /// Fails: steps are those of a norm.
  at::Tensor prepare(const at::Tensor& frames) const override;
  /// Quantised zeros.
  at::Tensor frame_before_video(const at::Tensor& quantised) const override;

  void forward(const History& history, const at::Tensor& quantised, at::Tensor result) const override;
  void add_to(at::Tensor result, const History& history, const at::Tensor& quantised) const override;

  bool prepares_next() const override { return quantises(); }
  at::Tensor forward_prepared(const History& history, const at::Tensor& quantised, const at::Tensor& next_gamma,
                              const PreparedConvolution& next) const override;

  /// Whether there is a kernel for forward_quantised: Cout 96, or 192 with Cin a multiple of 64.
  bool quantises() const;

  /// The input of `next`, a convolution of what this one gives: next.quantise(forward(...)), rounded once.
  at::Tensor forward_quantised(const History& history, const at::Tensor& quantised, const Int8Convolution& next) const;

  int64_t out_channels() const override { return scales_.numel(); }

 private:
  at::Tensor sums(const History& history, const at::Tensor& quantised) const;

  Int8Rounding rounding_;
  at::ScalarType dtype_;
  at::Tensor scales_;     ///< [Cout] float32, of the sums
  at::Tensor bias_;       ///< [Cout] float32; with planes_ that of the sums over q
  at::Tensor planes_;     ///< [3, 3, Cin / 16, 3, Cout, 16] int8, the kernels' weights, or undefined
  Convolution integers_;  ///< empty with planes_
};

/// What tests compare the kernels with, and what they compute with.
namespace reference {
/// q - zero as float32. Shape: x [T, H, W, C], in and out.
at::Tensor quantised_norm(const at::Tensor& x, const Int8Rounding& rounding);
/// [T, H, W, C] with a border to planes and back, the border dropped.
at::Tensor to_planes(const at::Tensor& quantised, const Int8Rounding& rounding);
at::Tensor from_planes(const at::Tensor& planes, const Int8Rounding& rounding);
}  // namespace reference

}  // namespace flashblock
