// A causal convolution that reads its input in a layout of its own.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "vae/convolution.h"

namespace flashblock {

/// Causal 3x3x3 convolution of frames that were prepared for it. Its history is two single prepared frames anywhere in
/// memory, so that nothing is copied from call to call. Frames of a result are the same whatever frames are computed
/// with them.
class PreparedConvolution {
 public:
  static constexpr int64_t kHistory = 2;
  using History = std::array<at::Tensor, kHistory>;  ///< prepared, oldest first, without T

  virtual ~PreparedConvolution() = default;

  /// SiLU(RMS(frames; gamma)), prepared: its layout is that of one kind of convolution. Shape: frames [T, H, W, Cin];
  /// result [T, ...].
  virtual at::Tensor prepare_normalised(const BiasedFrames& frames, const at::Tensor& gamma) const = 0;
  /// The frames as they are, prepared. Requires: a kind that takes frames without a norm.
  virtual at::Tensor prepare(const at::Tensor& frames) const = 0;
  /// What is in front of a video. Shape: prepared [T, ...]; result without T.
  virtual at::Tensor frame_before_video(const at::Tensor& prepared) const = 0;

  /// Shape: result [T, H, W, Cout] contiguous, overwritten.
  virtual void forward(const History& history, const at::Tensor& prepared, at::Tensor result) const = 0;
  /// As forward, but result += the convolution.
  virtual void add_to(at::Tensor result, const History& history, const at::Tensor& prepared) const = 0;

  /// Whether forward_prepared is one pass; only then it may be called.
  virtual bool prepares_next() const = 0;
  /// next.prepare_normalised(forward(...), next_gamma), rounded once. Requires: `next` of the same kind.
  virtual at::Tensor forward_prepared(const History& history, const at::Tensor& prepared, const at::Tensor& next_gamma,
                                      const PreparedConvolution& next) const = 0;

  virtual int64_t out_channels() const = 0;
};

}  // namespace flashblock
