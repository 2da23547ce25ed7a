// What the tiny decoders (TAEHV and its larger variant) have in common: calls, surplus frames, state.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "vae/feature_cache.h"
#include "vae/latent_decoder.h"
#include "weights/vae_layout.h"

namespace flashblock {

/// Decodes normalised latents with one history per block with memory, kept between calls: the split of a video into
/// calls does not change the result. The three surplus frames that the networks emit before the video's first one are
/// dropped. Source: Self-Forcing `demo_utils/taehv.py` and madebyollin/taehv `taehv.py`, TAEHV.decoder; its sequential
/// form, which equals the parallel one exactly.
class TinyDecoder : public LatentDecoder {
 public:
  TinyDecoder(const VaeLayout& layout, at::Device device, at::ScalarType dtype);

  at::Tensor decode_unclamped(const at::Tensor& latents) override;
  void reset() override;
  int64_t latent_channels() const override { return layout_.latent_channels; }
  int64_t pixel_stride() const override { return layout_.pixel_stride(); }
  int64_t state_bytes() const override { return cache_.bytes(); }

 protected:
  /// The first `layers` of layer_memories(), with what precedes them.
  /// Shape: latents [F, H, W, C]; result [T, H', W', C'], both of the compute dtype.
  virtual at::Tensor run(const at::Tensor& latents, size_t layers) = 0;
  /// The last convolution. Shape: frames [T, 8H, 8W, C'] after all layers; result [T, 8H, 8W, planes].
  virtual at::Tensor head(at::Tensor frames) = 0;

  void fill_history(const at::Tensor& latents, size_t layers, Place place) override;
  at::Tensor to_frames(const at::Tensor& latents) const override;

  at::ScalarType dtype() const { return dtype_; }
  FeatureCache& cache() { return cache_; }

 private:
  at::Tensor decode_frames(const at::Tensor& latents);

  VaeLayout layout_;
  at::Device device_;
  at::ScalarType dtype_;
  FeatureCache cache_;
  bool started_ = false;
};

}  // namespace flashblock
