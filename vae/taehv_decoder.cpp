#include "vae/taehv_decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/check.h"
#include "core/error.h"
#include "weights/tensor_table.h"

namespace flashblock {
namespace {

// Output frames per input frame of each TGrow, in order. A file may have more rows: the last ones are used.
constexpr std::array<int64_t, 3> kFramesPerFrame = {1, 2, 2};

struct MemBlockWeights {
  ConvWeights conv0, conv2, conv4;
};
struct GrowWeights {
  at::Tensor grow;
  ConvWeights convolution;
};
using TinyStageWeights = std::variant<MemBlockWeights, GrowWeights>;

/// All tensors of `decoder.*`, in the order of its list of layers; layers without tensors (clamp, ReLU, doubling) are
/// implied.
struct Weights {
  ConvWeights input, output;
  std::vector<std::pair<std::string, TinyStageWeights>> stages;
};

std::string layer(int64_t index) { return "decoder." + std::to_string(index); }

int64_t rows_of(const WeightStore& store, const std::string& name, int64_t otherwise) {
  return store.contains(name) && !store.shape(name).empty() ? store.shape(name)[0] : otherwise;
}

class TinyInventory {
 public:
  explicit TinyInventory(const WeightStore& store) : store_(store) {}

  /// Layers from `first` on: MemBlocks, and a TGrow with the convolution that follows it, up to the last convolution.
  void find_stages(int64_t first, Weights& weights) const {
    for (int64_t index = first, silent = 0; silent < 3; ++index, ++silent) {
      if (store_.contains(layer(index) + ".conv.0.weight"))
        weights.stages.push_back({layer(index), MemBlockWeights{}});
      else if (store_.contains(layer(index) + ".conv.weight"))
        weights.stages.push_back({layer(index), GrowWeights{}});
      else
        continue;
      silent = -1;
    }
  }

  void load(Weights& weights, at::Device device) {
    int64_t channels = convolution(layer(1), weights.input, store_.shape("decoder.1.weight").at(1), Bias::kWanted);
    int64_t last = 2;
    for (auto& [name, stage] : weights.stages) {
      last = std::stoll(name.substr(name.find('.') + 1));
      if (auto* block = std::get_if<MemBlockWeights>(&stage))
        mem_block(name, channels, *block);
      else
        channels = grow(last, channels, std::get<GrowWeights>(stage));
    }
    // After the last TGrow come its convolution, a ReLU and the last convolution.
    const int64_t planes = rows_of(store_, layer(last + 3) + ".weight", 3);  // read_vae_layout has checked them
    table_.add(layer(last + 3) + ".weight", {planes, channels, 3, 3}, weights.output.weight);
    table_.add(layer(last + 3) + ".bias", {planes}, weights.output.bias);
    table_.load(store_, device, at::kFloat, {"encoder."});
  }

 private:
  enum class Bias { kNone, kWanted };

  int64_t convolution(const std::string& name, ConvWeights& target, int64_t in, Bias bias) {
    const int64_t out = rows_of(store_, name + ".weight", in);
    table_.add(name + ".weight", {out, in, 3, 3}, target.weight);
    if (bias == Bias::kWanted) table_.add(name + ".bias", {out}, target.bias);
    return out;
  }

  void mem_block(const std::string& name, int64_t channels, MemBlockWeights& block) {
    int64_t in = 2 * channels;
    for (const auto& [suffix, target] :
         {std::pair{".conv.0", &block.conv0}, {".conv.2", &block.conv2}, {".conv.4", &block.conv4}}) {
      table_.add(name + suffix + ".weight", {channels, in, 3, 3}, target->weight);
      table_.add(name + suffix + ".bias", {channels}, target->bias);
      in = channels;
    }
  }

  int64_t grow(int64_t index, int64_t channels, GrowWeights& target) {
    const int64_t rows = rows_of(store_, layer(index) + ".conv.weight", channels);
    table_.add(layer(index) + ".conv.weight", {rows, channels, 1, 1}, target.grow);
    return convolution(layer(index + 1), target.convolution, channels, Bias::kNone);
  }

  const WeightStore& store_;
  TensorTable table_;
};

/// The first convolution of a MemBlock, published over [x, m], as one over two frames in time: m is the earlier one.
ConvWeights over_two_frames(const ConvWeights& weights) {
  const auto halves = weights.weight.chunk(2, 1);
  return {at::stack({halves[1], halves[0]}, 2), weights.bias};
}

[[noreturn]] void refuse(const WeightStore& store, const std::string& found) {
  throw WeightsError(store.path().string() + ": a TAEHV decoder with " + found +
                     "; the one for Wan2.1 (taew2_1) has three TGrow layers, with 1, 2 and 2 frames per frame");
}

}  // namespace

at::Tensor TaehvDecoder::MemBlock::forward(at::Tensor frames, FeatureCache& cache) const {
  at::Tensor inner = conv0.forward(frames, cache).relu_();
  inner = conv2.forward(inner).relu_();
  conv4.add_to(frames, inner);
  return frames.relu_();
}

at::Tensor TaehvDecoder::Grow::forward(const at::Tensor& frames, FeatureCache&) const {
  at::Tensor grown = grow.forward(frames);
  if (frames_per_frame > 1) grown = at::stack(grown.chunk(frames_per_frame, 3), 1).flatten(0, 1);
  return convolution.forward(grown);
}

TaehvDecoder::TaehvDecoder(const WeightStore& store, at::Device device, at::ScalarType dtype)
    : TinyDecoder(read_vae_layout(store), device, dtype) {
  Weights weights;
  TinyInventory inventory(store);
  inventory.find_stages(3, weights);
  inventory.load(weights, device);
  input_ = Convolution(weights.input, dtype, {.padding = 1});
  output_ = Convolution(weights.output, dtype, {.padding = 1});
  size_t grows = 0;
  for (const auto& [name, stage] : weights.stages) {
    if (const auto* block = std::get_if<MemBlockWeights>(&stage)) {
      stages_.emplace_back(MemBlock{CausalConv3d(name + ".conv.0", over_two_frames(block->conv0), dtype),
                                    Convolution(block->conv2, dtype, {.padding = 1}),
                                    Convolution(block->conv4, dtype, {.padding = 1})});
      continue;
    }
    const auto& grow = std::get<GrowWeights>(stage);
    if (grows == kFramesPerFrame.size()) refuse(store, "more than three TGrow layers");
    const int64_t frames = kFramesPerFrame[grows++], rows = frames * grow.grow.size(1);
    if (grow.grow.size(0) < rows)
      refuse(store, std::to_string(grow.grow.size(0)) + " rows in " + name + ".conv.weight");
    const ConvWeights last_rows{grow.grow.narrow(0, grow.grow.size(0) - rows, rows), {}};
    stages_.emplace_back(Grow{Convolution(last_rows, dtype, {}), frames, DoublingConvolution(grow.convolution, dtype)});
  }
  if (grows != kFramesPerFrame.size()) refuse(store, std::to_string(grows) + " TGrow layers");
}

at::Tensor TaehvDecoder::run(const at::Tensor& latents, size_t layers) {
  at::Tensor frames = input_.forward(at::tanh(latents / 3).mul_(3)).relu_();
  for (size_t i = 0; i < layers; ++i)
    frames = std::visit([&](const auto& stage) { return stage.forward(std::move(frames), cache()); }, stages_[i]);
  return frames;
}

at::Tensor TaehvDecoder::head(at::Tensor frames) { return output_.forward(frames.relu_()); }

std::vector<LayerMemory> TaehvDecoder::layer_memories() const {
  std::vector<LayerMemory> layers;
  for (const auto& stage : stages_)
    layers.push_back(std::visit([](const auto& module) { return module.memory(); }, stage));
  return layers;
}

}  // namespace flashblock
