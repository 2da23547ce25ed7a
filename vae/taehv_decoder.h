// TAEHV, the tiny decoder, streaming.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "vae/causal_conv3d.h"
#include "vae/coder_blocks.h"
#include "vae/latent_decoder.h"
#include "weights/weight_store.h"

namespace flashblock {

/// Decodes normalised latents with one history per MemBlock, kept between calls: the split of a video into calls does
/// not change the result. The three surplus frames that the network emits before the video's first one are dropped.
/// Source: Self-Forcing `demo_utils/taehv.py`, TAEHV.decoder; its sequential form, which equals the parallel one
/// exactly.
class TaehvDecoder final : public LatentDecoder {
 public:
  /// Throws: WeightsError as load_latent_decoder.
  TaehvDecoder(const WeightStore& store, at::Device device, at::ScalarType dtype);

  at::Tensor decode_unclamped(const at::Tensor& latents) override;
  void reset() override;
  int64_t latent_channels() const override { return latent_channels_; }
  int64_t state_bytes() const override { return cache_.bytes(); }

 private:
  std::vector<LayerMemory> layer_memories() const override;
  void fill_history(const at::Tensor& latents, size_t layers, Place place) override;
  at::Tensor to_frames(const at::Tensor& latents) const override;

  /// ReLU(conv(ReLU(conv(ReLU(conv([x, m]))))) + x), m the same block's input one frame earlier: the first convolution
  /// is a causal one over two frames in time.
  struct MemBlock {
    CausalConv3d conv0;
    Convolution conv2, conv4;
    at::Tensor forward(at::Tensor frames, FeatureCache& cache) const;
    LayerMemory memory() const { return conv0.memory(); }
  };

  /// Nearest-neighbour doubling, TGrow (1x1, C to s C channels that become s frames), 3x3 convolution. TGrow is
  /// pointwise, so it is applied before the doubling, to a quarter of the positions.
  struct Grow {
    Convolution grow;
    int64_t frames_per_frame = 1;
    DoublingConvolution convolution;
    at::Tensor forward(const at::Tensor& frames, FeatureCache& cache) const;
    LayerMemory memory() const { return {.frames_per_frame = frames_per_frame}; }
  };

  /// The input convolution and the first `stages` stages. Shape: latents [F, H, W, C]; result [T, H', W', C'].
  at::Tensor run(const at::Tensor& latents, size_t stages);
  at::Tensor decode_frames(const at::Tensor& latents);

  at::ScalarType dtype_;
  at::Device device_;
  int64_t latent_channels_ = 0;
  Convolution input_, output_;
  std::vector<std::variant<MemBlock, Grow>> stages_;
  FeatureCache cache_;
  bool started_ = false;
};

}  // namespace flashblock
