// The stages of Wan2.2's VAE: residual blocks and a resampler, with a shortcut without weights around them all.
// Frames are [T, H, W, C] (note "Frames" in feature_cache.h). Source: Wan2.2 `wan/modules/vae2_2.py`, Up_ResidualBlock,
// Down_ResidualBlock, DupUp3D, AvgDown3D.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "vae/coder_blocks.h"
#include "vae/decoder_precision.h"
#include "vae/feature_cache.h"
#include "vae/vae_weights.h"

namespace flashblock {

/// A stage of the decoder that enlarges: its shortcut repeats channels in place of new pixels and frames.
class UpStage {
 public:
  /// Requires: weights with a resampler.
  UpStage(const ShortcutStageWeights& weights, at::ScalarType dtype, DecoderPrecision precision);

  /// The video's first frame is not doubled in time, by the resampler or by the shortcut. Consumes `frames`.
  /// Shape: [T, H, W, Cin] to [T', 2H, 2W, Cout], T' as Upsampler.
  at::Tensor forward(at::Tensor frames, FeatureCache& cache) const;

  /// As Upsampler::pass_start. Shape: frames [T, H, W, Cin].
  void pass_start(const at::Tensor& frames, FeatureCache& cache) const;

  LayerMemory memory() const;

 private:
  std::vector<ResidualBlock> blocks_;
  Upsampler resampler_;
  int64_t inner_channels_;  ///< before the resampler
};

/// A stage of the encoder: its shortcut is the mean over groups of pixels, frames and channels.
class DownStage {
 public:
  DownStage(const ShortcutStageWeights& weights, at::ScalarType dtype);

  /// The video's first frame passes alone, averaged with a frame of zeros where the stage halves the frame rate.
  /// Consumes `frames`. Shape: [T, H, W, Cin] to [T', H/2, W/2, Cout], T' as Downsampler; the size of the input
  /// without a resampler.
  at::Tensor forward(at::Tensor frames, FeatureCache& cache) const;

 private:
  std::vector<ResidualBlock> blocks_;
  std::optional<Downsampler> resampler_;
  int64_t out_channels_;
};

/// sum += repeated frames, in place: element (t ft + it, 2 i + ih, 2 j + iw, o) of the sum gets input channel
/// ((o ft + it) 4 + 2 ih + iw) Cin / (4 ft Cout) of (t, i, j), rounded down. Of the first input frame only the last
/// copy counts where `starts`. Shape: sum [ft T (- ft + 1), 2H, 2W, Cout]; frames [T, H, W, Cin]; ft: 1 or 2.
void add_repeated(at::Tensor& sum, const at::Tensor& frames, int64_t frames_per_frame, bool starts);

/// Means over groups of ft frames, 2x2 pixels and as many channels as are needed for `out_channels`, in the order
/// (channel, frame, row, column). Shape: frames [ft T, 2H, 2W, Cin] to [T, H, W, out_channels]; ft: 1 or 2.
at::Tensor grouped_means(const at::Tensor& frames, int64_t frames_per_frame, int64_t out_channels);

}  // namespace flashblock
