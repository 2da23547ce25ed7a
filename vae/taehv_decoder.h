// TAEHV, the tiny decoder, streaming.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "vae/causal_conv3d.h"
#include "vae/coder_blocks.h"
#include "vae/tiny_decoder.h"
#include "weights/weight_store.h"

namespace flashblock {

/// The small network, of 16 latent channels (taew2_1) or of 48 with patches of pixels (taew2_2).
class TaehvDecoder final : public TinyDecoder {
 public:
  /// Throws: WeightsError as load_latent_decoder.
  TaehvDecoder(const WeightStore& store, at::Device device, at::ScalarType dtype);

 private:
  std::vector<LayerMemory> layer_memories() const override;
  at::Tensor run(const at::Tensor& latents, size_t layers) override;
  at::Tensor head(at::Tensor frames) override;

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

  Convolution input_, output_;
  std::vector<std::variant<MemBlock, Grow>> stages_;
};

}  // namespace flashblock
