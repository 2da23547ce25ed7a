// The Wan VAE's encoder, streaming.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <variant>
#include <vector>

#include "vae/coder_blocks.h"
#include "vae/latent_encoder.h"
#include "vae/latent_stats.h"

namespace flashblock {

/// Encodes any number of frames per call; the split of a video into calls does not change its latents.
/// Source: Self-Forcing `wan/modules/vae.py`, WanVAE_.encode and Encoder3d.
class WanEncoder final : public LatentEncoder {
 public:
  WanEncoder(const CoderWeights& weights, at::ScalarType dtype);

  at::Tensor encode(const at::Tensor& pixels) override;
  void reset() override;
  int64_t latent_channels() const override { return LatentStats::kChannels; }

 private:
  using Stage = std::variant<ResidualBlock, Downsampler>;

  /// Shape: pixels [T, 8H, 8W, 3] of the compute dtype in [-1, 1]; result [F, H, W, 16] of the compute dtype,
  /// normalised.
  at::Tensor encode_frames(const at::Tensor& pixels);

  at::ScalarType dtype_;
  at::Device device_;
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
