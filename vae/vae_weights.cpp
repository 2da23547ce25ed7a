#include "vae/vae_weights.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "core/error.h"
#include "weights/tensor_table.h"

namespace flashblock {
namespace {

constexpr int64_t kColours = 3;

/// Planes of pixels that a head gives and an encoder takes.
int64_t planes_of(int64_t patch) { return kColours * patch * patch; }

/// Adds a coder's modules to the table, following the width of the frames from module to module.
class Inventory {
 public:
  explicit Inventory(const WeightStore& store) : store_(store) {}

  /// A convolution from `in` channels; returns its output channels in the file.
  int64_t convolution(const std::string& name, int64_t in, std::vector<int64_t> kernel, ConvWeights& target) {
    return convolution(name, in, rows_of(name + ".weight", in), std::move(kernel), target);
  }

  int64_t convolution(const std::string& name, int64_t in, int64_t out, std::vector<int64_t> kernel,
                      ConvWeights& target) {
    kernel.insert(kernel.begin(), {out, in});
    table_.add(name + ".weight", kernel, target.weight);
    table_.add(name + ".bias", {out}, target.bias);
    return out;
  }

  void norm(const std::string& name, std::vector<int64_t> shape, at::Tensor& target) {
    table_.add(name + ".gamma", std::move(shape), target);
  }

  int64_t residual(const std::string& name, int64_t in, ResidualWeights& target) {
    const int64_t out = rows_of(name + ".residual.2.weight", in);
    norm(name + ".residual.0", {in, 1, 1, 1}, target.norm1);
    convolution(name + ".residual.2", in, out, {3, 3, 3}, target.conv1);
    norm(name + ".residual.3", {out, 1, 1, 1}, target.norm2);
    convolution(name + ".residual.6", out, out, {3, 3, 3}, target.conv2);
    if (in != out) convolution(name + ".shortcut", in, out, {1, 1, 1}, target.shortcut);
    return out;
  }

  void attention(const std::string& name, int64_t channels, SpatialAttentionWeights& target) {
    norm(name + ".norm", {channels, 1, 1}, target.norm);
    convolution(name + ".to_qkv", channels, 3 * channels, {1, 1}, target.to_qkv);
    convolution(name + ".proj", channels, channels, {1, 1}, target.proj);
  }

  /// `frames_out`: output frames of the time convolution per input frame, 2 in the decoder and 1 in the encoder.
  int64_t resample(const std::string& name, int64_t in, int64_t frames_out, ResampleWeights& target) {
    const int64_t out = convolution(name + ".resample.1", in, {3, 3}, target.spatial);
    const bool in_time = store_.contains(name + ".time_conv.weight");
    // The decoder doubles the frame rate before it enlarges; the encoder shrinks before it halves the rate.
    const int64_t time_channels = frames_out == 2 ? in : out;
    if (in_time) convolution(name + ".time_conv", time_channels, frames_out * time_channels, {3, 1, 1}, target.time);
    return out;
  }

  void load(at::Device device, const std::vector<std::string>& ignored_prefixes) const {
    table_.load(store_, device, at::kFloat, ignored_prefixes);
  }

 private:
  /// First dimension of a tensor; `otherwise` if there is none, which the table then reports as missing.
  int64_t rows_of(const std::string& name, int64_t otherwise) const {
    if (!store_.contains(name)) return otherwise;
    const std::vector<int64_t> shape = store_.shape(name);
    return shape.empty() ? otherwise : shape[0];
  }

  const WeightStore& store_;
  TensorTable table_;
};

/// The residual blocks `prefix`.0, .1, ... of a stage with a shortcut, and the resampler after them, if any.
ShortcutStageWeights find_shortcut_stage(const WeightStore& store, const std::string& prefix) {
  ShortcutStageWeights stage;
  const auto name = [&] { return prefix + std::to_string(stage.blocks.size()); };
  while (store.contains(name() + ".residual.2.weight")) stage.blocks.emplace_back(name(), ResidualWeights{});
  if (store.contains(name() + ".resample.1.weight")) stage.resampler = name();
  return stage;
}

/// The modules `prefix`.`list`.0, .1, ... of the file, with their kinds detected from their tensors.
std::vector<StageWeights> find_stages(const WeightStore& store, const std::string& prefix, const std::string& list) {
  std::vector<StageWeights> stages;
  for (;;) {
    const std::string name = prefix + list + std::to_string(stages.size());
    if (store.contains(name + ".residual.2.weight"))
      stages.push_back({name, ResidualWeights{}});
    else if (store.contains(name + ".resample.1.weight"))
      stages.push_back({name, ResampleWeights{}});
    else if (store.contains(name + "." + list + "0.residual.2.weight"))
      stages.push_back({name, find_shortcut_stage(store, name + "." + list)});
    else
      return stages;
  }
}

int64_t add_shortcut_stage(Inventory& inventory, int64_t channels, int64_t frames_out, ShortcutStageWeights& stage) {
  stage.in_channels = channels;
  for (auto& [name, residual] : stage.blocks) channels = inventory.residual(name, channels, residual);
  if (!stage.resampler.empty()) channels = inventory.resample(stage.resampler, channels, frames_out, stage.resample);
  stage.out_channels = channels;
  return channels;
}

int64_t add_stages(Inventory& inventory, int64_t channels, int64_t frames_out, std::vector<StageWeights>& stages) {
  for (StageWeights& stage : stages) {
    if (auto* residual = std::get_if<ResidualWeights>(&stage.module))
      channels = inventory.residual(stage.name, channels, *residual);
    else if (auto* resample = std::get_if<ResampleWeights>(&stage.module))
      channels = inventory.resample(stage.name, channels, frames_out, *resample);
    else
      channels = add_shortcut_stage(inventory, channels, frames_out, std::get<ShortcutStageWeights>(stage.module));
  }
  return channels;
}

int64_t add_middle(Inventory& inventory, const std::string& prefix, int64_t channels, CoderWeights& weights) {
  channels = inventory.residual(prefix + ".middle.0", channels, weights.middle0);
  inventory.attention(prefix + ".middle.1", channels, weights.attention);
  return inventory.residual(prefix + ".middle.2", channels, weights.middle2);
}

/// The resampler of a stage, or an empty name.
std::string resampler_of(const StageWeights& stage) {
  if (std::holds_alternative<ResampleWeights>(stage.module)) return stage.name;
  const auto* whole = std::get_if<ShortcutStageWeights>(&stage.module);
  return whole ? whole->resampler : "";
}

void check_strides(const WeightStore& store, const std::string& prefix, const std::vector<StageWeights>& stages) {
  int64_t in_space = 1, in_time = 1;
  for (const StageWeights& stage : stages) {
    const std::string resampler = resampler_of(stage);
    if (resampler.empty()) continue;
    in_space *= 2;
    if (store.contains(resampler + ".time_conv.weight")) in_time *= 2;
  }
  if (in_space == 8 && in_time == 4) return;
  throw WeightsError(store.path().string() + ": the resamplers of " + prefix + " have strides of " +
                     std::to_string(in_space) + " in space and " + std::to_string(in_time) +
                     " in time, not 8 and 4 as in the VAEs of Wan2.1 and Wan2.2, which are supported");
}

/// Throws unless a shortcut's channels divide: each of `more` elements goes to, or is the mean of, whole groups.
void check_shortcuts(const WeightStore& store, const std::vector<StageWeights>& stages) {
  for (const StageWeights& stage : stages) {
    const auto* whole = std::get_if<ShortcutStageWeights>(&stage.module);
    if (!whole) continue;
    const int64_t most = std::max(whole->in_channels, whole->out_channels);
    if (most % std::min(whole->in_channels, whole->out_channels) == 0) continue;
    throw WeightsError(store.path().string() + ": the shortcut around " + stage.name + " leads from " +
                       std::to_string(whole->in_channels) + " channels to " + std::to_string(whole->out_channels) +
                       "; one must be a multiple of the other");
  }
}

void flatten_norms(ResidualWeights& weights) {
  weights.norm1 = weights.norm1.flatten();
  weights.norm2 = weights.norm2.flatten();
}

void flatten_norms(CoderWeights& weights) {
  flatten_norms(weights.middle0);
  flatten_norms(weights.middle2);
  weights.attention.norm = weights.attention.norm.flatten();
  weights.output_norm = weights.output_norm.flatten();
  for (StageWeights& stage : weights.stages)
    if (auto* residual = std::get_if<ResidualWeights>(&stage.module))
      flatten_norms(*residual);
    else if (auto* whole = std::get_if<ShortcutStageWeights>(&stage.module))
      for (auto& [name, block] : whole->blocks) flatten_norms(block);
}

/// What the file's list of tensors does not say.
void check_and_flatten(const WeightStore& store, const std::string& list, CoderWeights& weights) {
  check_strides(store, list, weights.stages);
  check_shortcuts(store, weights.stages);
  flatten_norms(weights);
}

}  // namespace

CoderWeights load_decoder_weights(const WeightStore& store, at::Device device) {
  CoderWeights weights{.layout = read_vae_layout(store)};
  Inventory inventory(store);
  const int64_t latent_channels = weights.layout.latent_channels;
  inventory.convolution("conv2", latent_channels, latent_channels, {1, 1, 1}, weights.latent_conv);
  int64_t channels = inventory.convolution("decoder.conv1", latent_channels, {3, 3, 3}, weights.input);
  channels = add_middle(inventory, "decoder", channels, weights);
  weights.stages = find_stages(store, "decoder.", "upsamples.");
  channels = add_stages(inventory, channels, 2, weights.stages);
  inventory.norm("decoder.head.0", {channels, 1, 1, 1}, weights.output_norm);
  inventory.convolution("decoder.head.2", channels, planes_of(weights.layout.patch), {3, 3, 3}, weights.output);
  inventory.load(device, {"encoder.", "conv1."});
  check_and_flatten(store, "decoder.upsamples", weights);
  return weights;
}

CoderWeights load_encoder_weights(const WeightStore& store, at::Device device) {
  CoderWeights weights{.layout = read_vae_layout(store)};
  Inventory inventory(store);
  const int64_t patch = weights.layout.patch / weights.layout.upscale, moments = 2 * weights.layout.latent_channels;
  int64_t channels = inventory.convolution("encoder.conv1", planes_of(patch), {3, 3, 3}, weights.input);
  weights.stages = find_stages(store, "encoder.", "downsamples.");
  channels = add_stages(inventory, channels, 1, weights.stages);
  channels = add_middle(inventory, "encoder", channels, weights);
  inventory.norm("encoder.head.0", {channels, 1, 1, 1}, weights.output_norm);
  inventory.convolution("encoder.head.2", channels, moments, {3, 3, 3}, weights.output);  // mean and log-variance
  inventory.convolution("conv1", moments, moments, {1, 1, 1}, weights.latent_conv);
  inventory.load(device, {"decoder.", "conv2."});
  check_and_flatten(store, "encoder.downsamples", weights);
  return weights;
}

}  // namespace flashblock
