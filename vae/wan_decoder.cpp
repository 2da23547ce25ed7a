#include "vae/wan_decoder.h"

#include <ATen/ops/cat.h>

#include <utility>

#include "core/check.h"
#include "vae/pixel_patches.h"

namespace flashblock {
namespace {

/// Adds up the convolutions of a decoder in the order of its modules.
class OperationCount {
 public:
  explicit OperationCount(DecoderPrecision precision) : precision_(precision) {}

  void add(const ConvWeights& weights, double share = 1) { counted_.native += share * operations(weights); }
  void add(const ResidualWeights& block) {
    (precision_ == DecoderPrecision::kInt8 ? counted_.eight_bits : counted_.native) +=
        operations(block.conv1) + operations(block.conv2);
    add(block.shortcut);
  }
  void add(const ResampleWeights& resample) {
    if (resample.time.weight.defined()) {
      add(resample.time);
      outputs_ *= 2;
    }
    outputs_ *= 4;
    add(resample.spatial, 4.0 / 9);  // DoublingConvolution
  }
  void add(const ShortcutStageWeights& stage) {
    for (const auto& [name, block] : stage.blocks) add(block);
    if (!stage.resampler.empty()) add(stage.resample);
  }
  const ConvolutionOperations& counted() const { return counted_; }

 private:
  double operations(const ConvWeights& weights) const {
    return weights.weight.defined() ? 2 * outputs_ * static_cast<double>(weights.weight.numel()) : 0;
  }

  DecoderPrecision precision_;
  double outputs_ = 1;  ///< positions of the current module's output for one latent position
  ConvolutionOperations counted_;
};

ConvolutionOperations operations_of(const CoderWeights& weights, DecoderPrecision precision) {
  OperationCount count(precision);
  count.add(weights.latent_conv);
  count.add(weights.input);
  count.add(weights.middle0);
  count.add(weights.attention.to_qkv);
  count.add(weights.attention.proj);
  count.add(weights.middle2);
  for (const StageWeights& stage : weights.stages)
    std::visit([&](const auto& module) { count.add(module); }, stage.module);
  count.add(weights.output);
  return count.counted();
}

}  // namespace

WanDecoder::WanDecoder(const CoderWeights& weights, at::ScalarType dtype, DecoderPrecision precision)
    : layout_(weights.layout),
      dtype_(dtype),
      precision_(precision),
      operations_(operations_of(weights, precision)),
      device_(weights.output_norm.device()),
      stats_(layout_.latent_channels, device_, dtype),
      latent_conv_(weights.latent_conv, dtype, {}),
      input_("conv1", weights.input, dtype),
      output_norm_(weights.output_norm),
      output_("head.2", weights.output, dtype) {
  stages_.emplace_back(ResidualBlock("middle.0", weights.middle0, dtype, precision));
  stages_.emplace_back(SpatialAttention(weights.attention, dtype));
  stages_.emplace_back(ResidualBlock("middle.2", weights.middle2, dtype, precision));
  for (const StageWeights& stage : weights.stages) add_stage(stage);
}

void WanDecoder::add_stage(const StageWeights& stage) {
  if (const auto* residual = std::get_if<ResidualWeights>(&stage.module)) {
    stages_.emplace_back(ResidualBlock(stage.name, *residual, dtype_, precision_));
    return;
  }
  if (const auto* whole = std::get_if<ShortcutStageWeights>(&stage.module)) {
    if (whole->resampler.empty()) {  // the last stage has no shortcut, either
      for (const auto& [name, block] : whole->blocks)
        stages_.emplace_back(ResidualBlock(name, block, dtype_, precision_));
      return;
    }
    stages_.emplace_back(UpStage(*whole, dtype_, precision_));
  } else {
    stages_.emplace_back(Upsampler(stage.name, std::get<ResampleWeights>(stage.module), dtype_));
  }
  second_begin_ = stages_.size() - 1;
}

at::Tensor WanDecoder::to_frames(const at::Tensor& latents) const {
  FB_CHECK(latents.dim() == 5 && latents.size(0) == 1 && latents.size(1) > 0 && latents.size(2) == latent_channels(),
           "latents must be [1, F, ", latent_channels(), ", H, W], found ", latents.sizes());
  return latents[0].to(device_, dtype_).permute({0, 2, 3, 1}).contiguous();
}

void WanDecoder::reset() {
  first_cache_.reset();
  second_cache_.reset();
}

// Not finish(begin()): one part at a time, since the features between the halves of a large frame take much memory.
at::Tensor WanDecoder::decode_unclamped(const at::Tensor& latents) {
  std::vector<at::Tensor> pixels;
  for (const at::Tensor& frames : split(to_frames(latents))) pixels.push_back(second_half(first_half(frames)));
  return pixels.size() == 1 ? pixels[0] : at::cat(pixels);
}

LatentDecoder::HalfDecoded WanDecoder::begin(const at::Tensor& latents) {
  HalfDecoded half;
  for (const at::Tensor& frames : split(to_frames(latents))) half.push_back(first_half(frames));
  return half;
}

at::Tensor WanDecoder::finish_unclamped(const HalfDecoded& half) {
  std::vector<at::Tensor> pixels;
  for (const at::Tensor& frames : half) pixels.push_back(second_half(frames));
  return pixels.size() == 1 ? pixels[0] : at::cat(pixels);
}

at::Tensor WanDecoder::enter(const at::Tensor& latents) {
  return input_.forward(latent_conv_.forward(stats_.denormalise(latents)), first_cache_);
}

at::Tensor WanDecoder::run_stage(size_t index, at::Tensor frames) {
  FeatureCache& cache = index < second_begin_ ? first_cache_ : second_cache_;
  return std::visit([&](const auto& module) { return module.forward(std::move(frames), cache); }, stages_[index]);
}

at::Tensor WanDecoder::first_half(const at::Tensor& latents) {
  at::Tensor frames = enter(latents);
  for (size_t i = 0; i < second_begin_; ++i) frames = run_stage(i, std::move(frames));
  return frames;
}

at::Tensor WanDecoder::second_half(at::Tensor frames) {
  for (size_t i = second_begin_; i < stages_.size(); ++i) frames = run_stage(i, std::move(frames));
  at::Tensor pixels = output_.forward(frames, output_norm_, second_cache_).mul_(0.5).add_(0.5);  // [-1, 1] to [0, 1]
  return layout_.patch == 1 ? pixels : pixels_of_planes(pixels, layout_.order);
}

std::vector<LayerMemory> WanDecoder::layer_memories() const {
  std::vector<LayerMemory> layers = {input_.memory()};
  for (const Stage& stage : stages_)
    layers.push_back(std::visit([](const auto& module) { return module.memory(); }, stage));
  layers.push_back(output_.memory());
  return layers;
}

void WanDecoder::pass_start(size_t index, const at::Tensor& frames) {
  FeatureCache& cache = index < second_begin_ ? first_cache_ : second_cache_;
  if (const auto* upsampler = std::get_if<Upsampler>(&stages_[index]))
    upsampler->pass_start(frames.sizes().slice(1), frames.options(), cache);
  if (const auto* stage = std::get_if<UpStage>(&stages_[index])) stage->pass_start(frames, cache);
}

void WanDecoder::fill_history(const at::Tensor& latents, size_t layers, Place place) {
  at::Tensor frames = enter(latents);
  for (size_t i = 0; i < stages_.size() && i + 1 < layers; ++i) {
    if (place == Place::kLater) pass_start(i, frames);
    frames = run_stage(i, std::move(frames));
  }
  if (layers == stages_.size() + 2) output_.forward(frames, output_norm_, second_cache_);
}

}  // namespace flashblock
