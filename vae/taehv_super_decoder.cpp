#include "vae/taehv_super_decoder.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/stack.h>

#include <array>
#include <utility>

#include "weights/tensor_table.h"

namespace flashblock {
namespace {

// Layer 0 is a 1x1 convolution; each stage of seven layers is three blocks, a convolution, ReLU, pixel shuffle, TGrow;
// layer 22 is the last convolution.
constexpr int64_t kStages = 3, kLayersPerStage = 7, kBlocksPerStage = 3;
constexpr std::array<int64_t, kStages> kGrows = {1, 2, 2};

struct SuperBlockWeights {
  std::string name;
  at::Tensor depthwise;
  ConvWeights expand, project;
};
struct SuperGrowWeights {
  ConvWeights convolution, grow;
};
struct SuperStageWeights {
  std::array<SuperBlockWeights, kBlocksPerStage> blocks;
  SuperGrowWeights grow;
};
struct SuperWeights {
  ConvWeights input, output;
  std::array<SuperStageWeights, kStages> stages;
};

std::string layer_name(int64_t index) { return "decoder." + std::to_string(index); }

class SuperInventory {
 public:
  explicit SuperInventory(const WeightStore& store) : store_(store) {}

  void load(const VaeLayout& layout, SuperWeights& weights, at::Device device) {
    int64_t channels = convolution(layer_name(0), layout.latent_channels, 1, weights.input, Bias::kNone);
    for (int64_t stage = 0; stage < kStages; ++stage) {
      const int64_t first = 1 + stage * kLayersPerStage;
      SuperStageWeights& target = weights.stages[static_cast<size_t>(stage)];
      for (int64_t i = 0; i < kBlocksPerStage; ++i) block(layer_name(first + i), channels, target.blocks[size_t(i)]);
      channels = convolution(layer_name(first + kBlocksPerStage), channels, 3, target.grow.convolution) / 4;
      const int64_t rows = channels * kGrows[static_cast<size_t>(stage)];
      table_.add(layer_name(first + 6) + ".conv.weight", {rows, channels, 1, 1}, target.grow.grow.weight);
    }
    convolution(layer_name(1 + kStages * kLayersPerStage), channels, 3, weights.output);
    table_.load(store_, device, at::kFloat, {"encoder."});
  }

 private:
  enum class Bias { kNone, kWanted };

  int64_t convolution(const std::string& name, int64_t in, int64_t kernel, ConvWeights& target,
                      Bias bias = Bias::kWanted) {
    const int64_t out = rows_of(name + ".weight", in);
    table_.add(name + ".weight", {out, in, kernel, kernel}, target.weight);
    if (bias == Bias::kWanted) table_.add(name + ".bias", {out}, target.bias);
    return out;
  }

  void block(const std::string& name, int64_t channels, SuperBlockWeights& target) {
    target.name = name;
    table_.add(name + ".conv.0.weight", {2 * channels, 1, 7, 7}, target.depthwise);
    const int64_t wide = convolution(name + ".conv.1", 2 * channels, 1, target.expand);
    convolution(name + ".conv.3", wide, 1, target.project, Bias::kNone);
  }

  /// First dimension of a tensor; `otherwise` if there is none, which the table then reports as missing.
  int64_t rows_of(const std::string& name, int64_t otherwise) const {
    return store_.contains(name) && !store_.shape(name).empty() ? store_.shape(name)[0] : otherwise;
  }

  const WeightStore& store_;
  TensorTable table_;
};

/// The rows of pixel shuffle's planes, channel * 4 + 2 dy + dx, as those of phases, (2 dy + dx) * C + channel.
ConvWeights by_phase(const ConvWeights& weights) {
  const auto swap = [](const at::Tensor& rows) { return rows.unflatten(0, {-1, 4}).transpose(0, 1).flatten(0, 1); };
  return {swap(weights.weight), weights.bias.defined() ? swap(weights.bias) : weights.bias};
}

/// Shape: [T, H, W, 2 * 2 * C] to [T, 2H, 2W, C].
at::Tensor shuffled(const at::Tensor& phases) {
  const int64_t frames = phases.size(0), rows = phases.size(1), columns = phases.size(2);
  return phases.view({frames, rows, columns, 2, 2, -1})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({frames, 2 * rows, 2 * columns, -1});
}

}  // namespace

at::Tensor TaehvSuperDecoder::Block::forward(at::Tensor frames, FeatureCache& cache) const {
  const int64_t count = frames.size(0), channels = frames.size(3), padding = (depthwise.size(2) - 1) / 2;
  const at::Tensor window = cache.open_window(slot, 1, count, frames.sizes().slice(1), frames.options());
  window.narrow(0, 1, count).copy_(frames);
  cache.keep_last(slot, 1, window);
  const at::Tensor joined = at::cat({frames, window.narrow(0, 0, count)}, 3).permute({0, 3, 1, 2});
  const at::Tensor mixed = at::convolution(joined, depthwise, {}, {1, 1}, {padding, padding}, {1, 1},
                                           /*transposed=*/false, {0, 0}, 2 * channels)
                               .permute({0, 2, 3, 1})
                               .contiguous();
  project.add_to(frames, expand.forward(mixed).relu_());
  return frames;
}

at::Tensor TaehvSuperDecoder::Grow::forward(at::Tensor frames, FeatureCache&) const {
  const at::Tensor grown = grow.forward(shuffled(convolution.forward(frames).relu_()));
  return frames_per_frame == 1 ? grown : at::stack(grown.chunk(frames_per_frame, 3), 1).flatten(0, 1);
}

TaehvSuperDecoder::TaehvSuperDecoder(const WeightStore& store, at::Device device, at::ScalarType dtype)
    : TinyDecoder(read_vae_layout(store), device, dtype) {
  SuperWeights weights;
  SuperInventory(store).load(read_vae_layout(store), weights, device);
  input_ = Convolution(weights.input, dtype, {});
  output_ = Convolution(weights.output, dtype, {.padding = 1});
  for (size_t stage = 0; stage < weights.stages.size(); ++stage) {
    const auto& [blocks, grow] = weights.stages[stage];
    for (const SuperBlockWeights& block : blocks) {
      stages_.emplace_back(Block{block.name, block.depthwise.to(dtype), Convolution(block.expand, dtype, {}),
                                 Convolution(block.project, dtype, {})});
    }
    stages_.emplace_back(Grow{Convolution(by_phase(grow.convolution), dtype, {.padding = 1}),
                              Convolution(grow.grow, dtype, {}), kGrows[stage]});
  }
}

std::vector<LayerMemory> TaehvSuperDecoder::layer_memories() const {
  std::vector<LayerMemory> layers;
  for (const auto& stage : stages_)
    layers.push_back(std::visit([](const auto& module) { return module.memory(); }, stage));
  return layers;
}

at::Tensor TaehvSuperDecoder::run(const at::Tensor& latents, size_t layers) {
  at::Tensor frames = input_.forward(latents);
  for (size_t i = 0; i < layers; ++i)
    frames = std::visit([&](const auto& stage) { return stage.forward(std::move(frames), cache()); }, stages_[i]);
  return frames;
}

at::Tensor TaehvSuperDecoder::head(at::Tensor frames) { return output_.forward(frames); }

}  // namespace flashblock
