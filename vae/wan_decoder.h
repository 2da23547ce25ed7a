// The Wan VAE's decoder, streaming.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "vae/coder_blocks.h"
#include "vae/decoder_precision.h"
#include "vae/head_convolution.h"
#include "vae/latent_decoder.h"
#include "vae/latent_stats.h"
#include "vae/shortcut_stage.h"

namespace flashblock {

/// Decodes any number of latent frames per call; the split of a video into calls does not change the result. Stages,
/// latent channels and the planes of the head are those of the weights: Wan2.1, the same with a head for twice the
/// size, and Wan2.2.
/// Source: Self-Forcing `wan/modules/vae.py`, WanVAE_.decode and Decoder3d (not the zero-cache decoder of
/// `demo_utils`); Wan2.2 `wan/modules/vae2_2.py`.
class WanDecoder final : public LatentDecoder {
 public:
  WanDecoder(const CoderWeights& weights, at::ScalarType dtype, DecoderPrecision precision = DecoderPrecision::kNative);

  at::Tensor decode_unclamped(const at::Tensor& latents) override;
  HalfDecoded begin(const at::Tensor& latents) override;
  int parts() const override { return 2; }
  void reset() override;
  int64_t latent_channels() const override { return layout_.latent_channels; }
  int64_t pixel_stride() const override { return layout_.pixel_stride(); }
  ConvolutionOperations operations_per_latent() const override { return operations_; }
  int64_t state_bytes() const override { return first_cache_.bytes() + second_cache_.bytes(); }

 private:
  using Stage = std::variant<ResidualBlock, SpatialAttention, Upsampler, UpStage>;

  std::vector<LayerMemory> layer_memories() const override;
  void fill_history(const at::Tensor& latents, size_t layers, Place place) override;
  at::Tensor to_frames(const at::Tensor& latents) const override;
  at::Tensor finish_unclamped(const HalfDecoded& half) override;

  /// Adds the modules of a stage; the last one that enlarges begins the second half.
  void add_stage(const StageWeights& stage);
  /// Before frames that do not begin a video reach stage `index` for the first time.
  void pass_start(size_t index, const at::Tensor& frames);
  /// The input convolution. Shape: latents [F, H, W, C] of the compute dtype; result [F, H, W, C'].
  at::Tensor enter(const at::Tensor& latents);
  /// Stage `index`, with the feature cache of its half.
  at::Tensor run_stage(size_t index, at::Tensor frames);
  /// Shape: as enter; result [T', H', W', C'] before the last upsampling.
  at::Tensor first_half(const at::Tensor& latents);
  /// Shape: result [T, 3, s H, s W] float32, s the pixel stride.
  at::Tensor second_half(at::Tensor frames);

  VaeLayout layout_;
  at::ScalarType dtype_;
  DecoderPrecision precision_;  ///< of the residual blocks
  ConvolutionOperations operations_;
  at::Device device_;
  LatentStats stats_;
  Convolution latent_conv_;
  CausalConv3d input_;
  std::vector<Stage> stages_;
  size_t second_begin_ = 0;  ///< the first stage of the second half: the last upsampler
  at::Tensor output_norm_;
  HeadConvolution output_;
  FeatureCache first_cache_, second_cache_;  ///< one per half, since the halves may run on two threads
};

}  // namespace flashblock
