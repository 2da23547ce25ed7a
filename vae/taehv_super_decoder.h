// TAEHV's larger variant (taew2_2_super), streaming.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "vae/convolution.h"
#include "vae/tiny_decoder.h"
#include "weights/weight_store.h"

namespace flashblock {

/// The larger network: depthwise blocks with memory, and sub-pixel convolutions. Widths are those of the file.
/// Source: madebyollin/taehv `taehv.py`, TAEHV with arch_variant `super`.
class TaehvSuperDecoder final : public TinyDecoder {
 public:
  /// Throws: WeightsError as load_latent_decoder.
  TaehvSuperDecoder(const WeightStore& store, at::Device device, at::ScalarType dtype);

 private:
  std::vector<LayerMemory> layer_memories() const override;
  at::Tensor run(const at::Tensor& latents, size_t layers) override;
  at::Tensor head(at::Tensor frames) override;

  /// x + conv(ReLU(conv(depthwise([x, m])))), m the same block's input one frame earlier.
  struct Block {
    std::string slot;
    at::Tensor depthwise;         ///< [2 C, 1, 7, 7] of the compute dtype
    Convolution expand, project;  ///< 1x1
    at::Tensor forward(at::Tensor frames, FeatureCache& cache) const;
    LayerMemory memory() const { return {.history_frames = 1}; }
  };

  /// 3x3 convolution, ReLU, pixel shuffle, TGrow (1x1, C to s C channels that become s frames).
  struct Grow {
    Convolution convolution, grow;
    int64_t frames_per_frame = 1;
    at::Tensor forward(at::Tensor frames, FeatureCache& cache) const;
    LayerMemory memory() const { return {.frames_per_frame = frames_per_frame}; }
  };

  Convolution input_, output_;
  std::vector<std::variant<Block, Grow>> stages_;
};

}  // namespace flashblock
