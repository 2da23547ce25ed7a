// The Wan VAE's encoder, streaming.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <variant>
#include <vector>

#include "vae/coder_blocks.h"
#include "vae/latent_encoder.h"
#include "vae/latent_stats.h"
#include "vae/shortcut_stage.h"

namespace flashblock {

/// Encodes any number of frames per call; the split of a video into calls does not change its latents.
/// Source: Self-Forcing `wan/modules/vae.py` and Wan2.2 `wan/modules/vae2_2.py`, WanVAE_.encode and Encoder3d.
class WanEncoder final : public LatentEncoder {
 public:
  WanEncoder(const CoderWeights& weights, at::ScalarType dtype);

  at::Tensor encode(const at::Tensor& pixels) override;
  void reset() override;
  int64_t latent_channels() const override { return stats_.channels(); }
  int64_t pixel_stride() const override { return 8 * patch_; }

 private:
  using Stage = std::variant<ResidualBlock, Downsampler, DownStage>;

  /// Shape: pixels [T, s H, s W, 3] of the compute dtype in [-1, 1], s the pixel stride; result [F, H, W, C] of the
  /// compute dtype, normalised.
  at::Tensor encode_frames(const at::Tensor& pixels);

  at::ScalarType dtype_;
  at::Device device_;
  int64_t patch_;  ///< pixels per position of the input, in each direction
  PlaneOrder order_;
  LatentStats stats_;
  CausalConv3d input_;
  std::vector<Stage> stages_;
  ResidualBlock middle0_;
  SpatialAttention middle1_;
  ResidualBlock middle2_;
  at::Tensor output_norm_;
  CausalConv3d output_;
  Convolution latent_conv_;  ///< the rows of the mean only
  FeatureCache cache_;
  bool started_ = false;
};

}  // namespace flashblock
