// The modules of the Wan VAE's decoder and encoder. Frames are [T, H, W, C] (note "Frames" in
// feature_cache.h). Source of all: Self-Forcing `wan/modules/vae.py`, the classes named at each.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>

#include "vae/bordered_convolution.h"
#include "vae/causal_conv3d.h"
#include "vae/decoder_precision.h"
#include "vae/feature_cache.h"
#include "vae/vae_weights.h"

namespace flashblock {

/// x + conv(SiLU(RMS(conv(SiLU(RMS(x)))))), with a 1x1x1 shortcut for x where the widths differ. Source: ResidualBlock.
class ResidualBlock {
 public:
  ResidualBlock(const std::string& name, const ResidualWeights& weights, at::ScalarType dtype,
                DecoderPrecision precision = DecoderPrecision::kNative);

  /// Consumes `frames`: the sum is computed in place. Shape: [T, H, W, Cin] to [T, H, W, Cout].
  at::Tensor forward(at::Tensor frames, FeatureCache& cache) const;

  LayerMemory memory() const {
    return {.history_frames = conv1_.memory().history_frames + conv2_.memory().history_frames};
  }

 private:
  /// With the second norm in the first convolution's pass.
  at::Tensor forward_in_parts(const at::Tensor& frames, FeatureCache& cache) const;

  at::Tensor norm1_, norm2_;
  CausalConv3d conv1_, conv2_;
  std::optional<Convolution> shortcut_;
};

/// x + proj(attention(to_qkv(RMS(x)))): one head over the positions of each frame, none across time. Source:
/// AttentionBlock.
class SpatialAttention {
 public:
  SpatialAttention(const SpatialAttentionWeights& weights, at::ScalarType dtype);

  /// Consumes `frames`. Stateless: the cache is unused, for a common interface. Shape: [T, H, W, C], in and out.
  at::Tensor forward(at::Tensor frames, FeatureCache& cache) const;

  LayerMemory memory() const { return {}; }

 private:
  at::Tensor norm_;
  Convolution to_qkv_, proj_;
};

/// Nearest-neighbour doubling of height and width, then a 3x3 convolution, computed as one 2x2 convolution at the small
/// size for all four output phases: each phase depends on 2x2 distinct inputs only, so taps on the same input are
/// summed at load time. That is 4/9 of the arithmetic, and the doubled input is never stored. Taps are summed in
/// float32, before rounding.
class DoublingConvolution {
 public:
  /// Weights [Cout, Cin, 3, 3] float32 and bias [Cout] or undefined. Where BorderedDoubling supports them, it computes
  /// the phases.
  DoublingConvolution(const ConvWeights& weights, at::ScalarType dtype);

  /// Shape: [T, H, W, Cin] to [T, 2H, 2W, Cout].
  at::Tensor forward(const at::Tensor& frames) const { return forward({frames, {}}, 1); }
  /// Of frames + bias whose channels are `frames_per_frame` frames. Shape: [T, H, W, n Cin] to [n T, 2H, 2W, Cout].
  at::Tensor forward(const BiasedFrames& frames, int64_t frames_per_frame) const;

 private:
  std::unique_ptr<const BorderedDoubling> bordered_;
  Convolution phases_;  ///< [2 * 2 * Cout, Cin, 2, 2], padding 1; empty with bordered_
};

/// Shape: weights [Cout, Cin, 3, 3] to those of all phases, [2 * 2 * Cout, Cin, 2, 2], row phase first.
ConvWeights all_phases(const ConvWeights& weights);

/// Doubles height and width and, if it has a time convolution, the frame rate. Source: Resample, upsample2d and
/// upsample3d.
class Upsampler {
 public:
  Upsampler(const std::string& name, const ResampleWeights& weights, at::ScalarType dtype);

  /// The video's first frame is not doubled in time, and never enters the time convolution's history.
  /// Shape: [T, H, W, Cin] to [T', 2H, 2W, Cout]; T' = T, or 2T with time, or 2T - 1 in the first call of a video with
  /// time.
  at::Tensor forward(const at::Tensor& frames, FeatureCache& cache) const;

  /// Whether the next call is the first one of a video in which the first frame counts: never without time.
  bool starts(const FeatureCache& cache) const { return time_ && !cache.contains(time_->slot()); }

  /// If there was no call yet, starts a history of zeros, so that the next call continues a video.
  /// Shape: frame_sizes [H, W, Cin].
  void pass_start(at::IntArrayRef frame_sizes, const at::TensorOptions& options, FeatureCache& cache) const;

  LayerMemory memory() const {
    return time_ ? LayerMemory{.history_frames = time_->memory().history_frames, .frames_per_frame = 2} : LayerMemory{};
  }

 private:
  std::optional<CausalConv3d> time_;
  DoublingConvolution spatial_;
};

/// Halves height and width and, if it has a time convolution, the frame rate. Source: Resample, downsample2d and
/// downsample3d.
class Downsampler {
 public:
  Downsampler(const std::string& name, const ResampleWeights& weights, at::ScalarType dtype);

  /// The video's first frame passes alone; afterwards T must be even where there is a time convolution.
  /// Shape: [T, H, W, Cin] to [T', H/2, W/2, Cout]; T' = T, or T/2 with time, or 1 + (T - 1)/2 in the first call with
  /// time.
  at::Tensor forward(const at::Tensor& frames, FeatureCache& cache) const;

  /// Whether the next call is the first one of a video: always without time.
  bool starts(const FeatureCache& cache) const { return !cache.contains(slot_); }

  /// Input frames per output frame.
  int64_t frames_per_frame() const { return time_ ? 2 : 1; }

 private:
  at::Tensor halve_frame_rate(const at::Tensor& frames, FeatureCache& cache) const;

  std::string slot_;
  Convolution spatial_;
  std::optional<Convolution> time_;
};

}  // namespace flashblock
