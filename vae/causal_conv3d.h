// A convolution that is causal in time: it caches the last frames of its input between calls.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "vae/convolution.h"
#include "vae/feature_cache.h"
#include "vae/frame_ops.h"
#include "vae/layer_memory.h"

namespace flashblock {

/// Kernel (kt, kh, kw), zero padding (k - 1) / 2 on each side in space, kt - 1 frames of history in front in time.
/// Source: Self-Forcing `wan/modules/vae.py`, CausalConv3d, in the exact streaming form (note in FeatureCache).
class CausalConv3d {
 public:
  CausalConv3d() = default;
  /// `slot` names its history in the feature cache. Weights as Convolution takes them.
  CausalConv3d(std::string slot, const ConvWeights& weights, at::ScalarType dtype);

  /// Shape: frames [T, H, W, Cin]; result [T, H, W, Cout].
  at::Tensor forward(const at::Tensor& frames, FeatureCache& cache) const;

  /// conv(SiLU(RMS(frames; gamma))), with the normalised frames written directly after the history.
  BiasedFrames forward_normalised(const BiasedFrames& frames, const at::Tensor& gamma, FeatureCache& cache) const;

  /// sum += conv(SiLU(RMS(frames; gamma))), in place.
  void add_normalised_to(at::Tensor& sum, const BiasedFrames& frames, const at::Tensor& gamma,
                         FeatureCache& cache) const;

  /// The convolution's whole input: history and normalised frames, [kt - 1 + T, H, W, Cin].
  at::Tensor normalised_window(const BiasedFrames& frames, const at::Tensor& gamma, FeatureCache& cache) const;

  /// Starts the history with zeros without running the convolution. Shape: frame_sizes [H, W, Cin].
  void start_history(at::IntArrayRef frame_sizes, const at::TensorOptions& options, FeatureCache& cache) const;

  const std::string& slot() const { return slot_; }
  LayerMemory memory() const { return {.history_frames = history()}; }

 private:
  int64_t history() const { return convolution_.time_taps() - 1; }
  at::Tensor window(const at::Tensor& frames, FeatureCache& cache) const;

  std::string slot_;
  Convolution convolution_;
};

}  // namespace flashblock
