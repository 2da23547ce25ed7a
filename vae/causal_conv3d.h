// A convolution that is causal in time: it caches the last frames of its input between calls.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "vae/convolution.h"
#include "vae/feature_cache.h"
#include "vae/frame_ops.h"
#include "vae/layer_memory.h"
#include "vae/prepared_convolution.h"

namespace flashblock {

/// Kernel (kt, kh, kw), zero padding (k - 1) / 2 on each side in space, kt - 1 frames of history in front in time.
/// Where BorderedConvolution supports the weights, it computes the convolution; Convolution elsewhere; Int8Convolution
/// if it was made for the norm in front.
/// Source: Self-Forcing `wan/modules/vae.py`, CausalConv3d, in the exact streaming form (note in FeatureCache).
class CausalConv3d {
 public:
  CausalConv3d() = default;
  /// `slot` names its history in the feature cache. Weights as Convolution takes them.
  CausalConv3d(std::string slot, const ConvWeights& weights, at::ScalarType dtype);

  /// In 8 bits, of frames that a norm with this gamma is in front of: only functions that take a gamma may be called,
  /// with this one. Weights as Int8Convolution takes them.
  CausalConv3d(std::string slot, const ConvWeights& weights, at::ScalarType dtype, const at::Tensor& gamma);

  /// Shape: frames [T, H, W, Cin]; result [T, H, W, Cout].
  at::Tensor forward(const at::Tensor& frames, FeatureCache& cache) const;

  /// As forward, but may leave the bias to the next operation.
  BiasedFrames forward_biased(const at::Tensor& frames, FeatureCache& cache) const;

  /// conv(SiLU(RMS(frames; gamma))), with the normalised frames written directly after the history.
  BiasedFrames forward_normalised(const BiasedFrames& frames, const at::Tensor& gamma, FeatureCache& cache) const;

  /// Whether forward_between_norms() is one pass with the convolution; only then it may be called.
  bool fuses_norms() const { return prepared_ && prepared_->prepares_next(); }

  /// SiLU(RMS(conv(SiLU(RMS(frames; gamma))); next_gamma)), the input of `next`, prepared for its add_prepared_to.
  at::Tensor forward_between_norms(const at::Tensor& frames, const at::Tensor& gamma, const at::Tensor& next_gamma,
                                   const CausalConv3d& next, FeatureCache& cache) const;

  /// sum += conv(prepared), in place. Requires: the result of another one's forward_between_norms: bordered frames, or
  /// quantised ones.
  void add_prepared_to(at::Tensor sum, const at::Tensor& prepared, FeatureCache& cache) const;

  /// sum += conv(SiLU(RMS(frames; gamma))), in place.
  void add_normalised_to(at::Tensor& sum, const BiasedFrames& frames, const at::Tensor& gamma,
                         FeatureCache& cache) const;

  /// The convolution's whole input: history and normalised frames, [kt - 1 + T, H, W, Cin]. Requires: weights that
  /// BorderedConvolution does not support, not in 8 bits.
  at::Tensor normalised_window(const BiasedFrames& frames, const at::Tensor& gamma, FeatureCache& cache) const;

  /// Starts the history with zeros without running the convolution. Shape: frame_sizes [H, W, Cin].
  void start_history(at::IntArrayRef frame_sizes, const at::TensorOptions& options, FeatureCache& cache) const;

  /// Frames that go through the convolution together where their memory is kept as history.
  static constexpr int64_t kPart = PreparedConvolution::kHistory;

  const std::string& slot() const { return slot_; }
  LayerMemory memory() const { return {.history_frames = history()}; }

 private:
  int64_t history() const { return prepared_ ? PreparedConvolution::kHistory : convolution_.time_taps() - 1; }
  at::Tensor window(const at::Tensor& frames, FeatureCache& cache) const;
  /// The convolution of normalised or plain frames, a part of them at a time: what `prepared_part` gives for a range
  /// of frames stays in memory as history, and no more than that should.
  template <typename PreparedPart>
  at::Tensor forward_in_parts(const at::Tensor& frames, FeatureCache& cache, const PreparedPart& prepared_part) const;
  /// The slot's history before `prepared` [T, ...], which becomes its latest.
  PreparedConvolution::History exchange_history(const at::Tensor& prepared, FeatureCache& cache) const;

  std::string slot_;
  std::unique_ptr<const PreparedConvolution> prepared_;
  Convolution convolution_;  ///< empty with that
};

}  // namespace flashblock
