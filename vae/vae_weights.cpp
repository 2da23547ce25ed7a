#include "vae/vae_weights.h"

#include <ATen/core/Tensor.h>

#include "core/error.h"
#include "vae/latent_stats.h"
#include "weights/tensor_table.h"

namespace flashblock {
namespace {

constexpr int64_t kColours = 3;

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

/// The modules `prefix`.0, .1, ... of the file, with their kinds detected from their tensors.
std::vector<StageWeights> find_stages(const WeightStore& store, const std::string& prefix) {
  std::vector<StageWeights> stages;
  for (;;) {
    const std::string name = prefix + std::to_string(stages.size());
    if (store.contains(name + ".residual.2.weight"))
      stages.push_back({name, ResidualWeights{}});
    else if (store.contains(name + ".resample.1.weight"))
      stages.push_back({name, ResampleWeights{}});
    else
      return stages;
  }
}

int64_t add_stages(Inventory& inventory, int64_t channels, int64_t frames_out, std::vector<StageWeights>& stages) {
  for (StageWeights& stage : stages) {
    if (auto* residual = std::get_if<ResidualWeights>(&stage.module))
      channels = inventory.residual(stage.name, channels, *residual);
    else
      channels = inventory.resample(stage.name, channels, frames_out, std::get<ResampleWeights>(stage.module));
  }
  return channels;
}

int64_t add_middle(Inventory& inventory, const std::string& prefix, int64_t channels, CoderWeights& weights) {
  channels = inventory.residual(prefix + ".middle.0", channels, weights.middle0);
  inventory.attention(prefix + ".middle.1", channels, weights.attention);
  return inventory.residual(prefix + ".middle.2", channels, weights.middle2);
}

void check_strides(const WeightStore& store, const std::string& prefix, const std::vector<StageWeights>& stages) {
  int64_t in_space = 1, in_time = 1;
  for (const StageWeights& stage : stages) {
    if (!std::holds_alternative<ResampleWeights>(stage.module)) continue;
    in_space *= 2;
    if (store.contains(stage.name + ".time_conv.weight")) in_time *= 2;
  }
  if (in_space == 8 && in_time == 4) return;
  throw WeightsError(store.path().string() + ": the resamplers of " + prefix + " have strides of " +
                     std::to_string(in_space) + " in space and " + std::to_string(in_time) +
                     " in time, not 8 and 4 as in the VAE of Wan2.1, which is the one supported");
}

int64_t dimension(const WeightStore& store, const std::string& name, size_t axis) {
  const std::vector<int64_t> shape = store.shape(name);
  if (shape.size() == 5) return shape[axis];
  throw WeightsError(store.path().string() + ": tensor " + name + " has rank " + std::to_string(shape.size()) +
                     "; a Wan2.1 VAE has a 3-D convolution there, of rank 5");
}

void check_latent_channels(const WeightStore& store, int64_t channels) {
  if (channels == LatentStats::kChannels) return;
  throw WeightsError(store.path().string() + ": a VAE of " + std::to_string(channels) +
                     " latent channels; a Wan2.1 VAE has " + std::to_string(LatentStats::kChannels) +
                     ", and only that VAE is supported");
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
    if (auto* residual = std::get_if<ResidualWeights>(&stage.module)) flatten_norms(*residual);
}

}  // namespace

CoderWeights load_decoder_weights(const WeightStore& store, at::Device device) {
  CoderWeights weights;
  Inventory inventory(store);
  weights.latent_channels = dimension(store, "decoder.conv1.weight", 1);
  inventory.convolution("conv2", weights.latent_channels, weights.latent_channels, {1, 1, 1}, weights.latent_conv);
  int64_t channels = inventory.convolution("decoder.conv1", weights.latent_channels, {3, 3, 3}, weights.input);
  channels = add_middle(inventory, "decoder", channels, weights);
  weights.stages = find_stages(store, "decoder.upsamples.");
  channels = add_stages(inventory, channels, 2, weights.stages);
  inventory.norm("decoder.head.0", {channels, 1, 1, 1}, weights.output_norm);
  inventory.convolution("decoder.head.2", channels, kColours, {3, 3, 3}, weights.output);
  inventory.load(device, {"encoder.", "conv1."});
  check_latent_channels(store, weights.latent_channels);
  check_strides(store, "decoder.upsamples", weights.stages);
  flatten_norms(weights);
  return weights;
}

CoderWeights load_encoder_weights(const WeightStore& store, at::Device device) {
  CoderWeights weights;
  Inventory inventory(store);
  int64_t channels = inventory.convolution("encoder.conv1", kColours, {3, 3, 3}, weights.input);
  weights.stages = find_stages(store, "encoder.downsamples.");
  channels = add_stages(inventory, channels, 1, weights.stages);
  channels = add_middle(inventory, "encoder", channels, weights);
  inventory.norm("encoder.head.0", {channels, 1, 1, 1}, weights.output_norm);
  const int64_t moments = inventory.convolution("encoder.head.2", channels, {3, 3, 3}, weights.output);
  weights.latent_channels = moments / 2;  // mean and log-variance
  inventory.convolution("conv1", moments, moments, {1, 1, 1}, weights.latent_conv);
  inventory.load(device, {"decoder.", "conv2."});
  check_latent_channels(store, weights.latent_channels);
  check_strides(store, "encoder.downsamples", weights.stages);
  flatten_norms(weights);
  return weights;
}

}  // namespace flashblock
