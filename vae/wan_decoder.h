// The Wan VAE's decoder, streaming.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "vae/coder_blocks.h"
#include "vae/head_convolution.h"
#include "vae/latent_decoder.h"
#include "vae/latent_stats.h"

namespace flashblock {

/// Decodes any number of latent frames per call; how a film is cut into calls does not change it.
/// Source: Self-Forcing `wan/modules/vae.py`, WanVAE_.decode and Decoder3d (not the zero-cache decoder of
/// `demo_utils`).
class WanDecoder final : public LatentDecoder {
 public:
  WanDecoder(const CoderWeights& weights, at::ScalarType dtype);

  at::Tensor decode_unclamped(const at::Tensor& latents) override;
  void reset() override { cache_.reset(); }
  int64_t latent_channels() const override { return LatentStats::kChannels; }
  int64_t state_bytes() const override { return cache_.bytes(); }

 private:
  using Stage = std::variant<ResidualBlock, SpatialAttention, Upsampler>;

  std::vector<LayerMemory> layer_memories() const override;
  void remember(const at::Tensor& latents, size_t layers, Place place) override;
  at::Tensor to_frames(const at::Tensor& latents) const override;

  /// The input convolution. Shape: latents [F, H, W, 16] of the compute dtype; result [F, H, W, C].
  at::Tensor enter(const at::Tensor& latents);
  /// Shape: as enter; result [T, 3, 8H, 8W] float32.
  at::Tensor decode_frames(const at::Tensor& latents);

  at::ScalarType dtype_;
  at::Device device_;
  LatentStats stats_;
  Convolution latent_conv_;
  CausalConv3d input_;
  std::vector<Stage> stages_;
  at::Tensor output_norm_;
  HeadConvolution output_;
  FeatureCache cache_;
};

}  // namespace flashblock
