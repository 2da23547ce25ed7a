#include "vae/wan_encoder.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "vae/pixel_patches.h"

namespace flashblock {
namespace {

constexpr int64_t kFramesPerLatent = 4;
// Frames that go through the network together: it bounds the memory of a long call.
constexpr int64_t kFramesTogether = 2 * kFramesPerLatent;

/// The rows of conv1 that give the mean; the log-variance is never used.
ConvWeights mean_rows(const ConvWeights& weights) { return {weights.weight.chunk(2)[0], weights.bias.chunk(2)[0]}; }

}  // namespace

WanEncoder::WanEncoder(const CoderWeights& weights, at::ScalarType dtype)
    : dtype_(dtype),
      device_(weights.output_norm.device()),
      patch_(weights.layout.patch / weights.layout.upscale),
      order_(weights.layout.order),
      stats_(weights.layout.latent_channels, device_, dtype),
      input_("conv1", weights.input, dtype),
      middle0_("middle.0", weights.middle0, dtype),
      middle1_(weights.attention, dtype),
      middle2_("middle.2", weights.middle2, dtype),
      output_norm_(weights.output_norm),
      output_("head.2", weights.output, dtype),
      latent_conv_(mean_rows(weights.latent_conv), dtype, {}) {
  for (const StageWeights& stage : weights.stages) {
    if (const auto* residual = std::get_if<ResidualWeights>(&stage.module))
      stages_.emplace_back(ResidualBlock(stage.name, *residual, dtype));
    else if (const auto* whole = std::get_if<ShortcutStageWeights>(&stage.module))
      stages_.emplace_back(DownStage(*whole, dtype));
    else
      stages_.emplace_back(Downsampler(stage.name, std::get<ResampleWeights>(stage.module), dtype));
  }
}

void WanEncoder::reset() {
  cache_.reset();
  started_ = false;
}

at::Tensor WanEncoder::encode(const at::Tensor& pixels) {
  const int64_t alone = started_ ? 0 : 1;  // the video's first frame
  const int64_t stride = pixel_stride();
  FB_CHECK(pixels.dim() == 4 && pixels.size(1) == 3 && pixels.size(2) % stride == 0 && pixels.size(3) % stride == 0,
           "pixels must be [T, 3, ", stride, "H, ", stride, "W], found ", pixels.sizes());
  FB_CHECK(pixels.size(0) > 0 && (pixels.size(0) - alone) % kFramesPerLatent == 0, pixels.size(0), " frames; expected ",
           alone, " + 4 k");
  const at::Tensor frames = pixels.to(device_, at::kFloat).mul(2).sub_(1).to(dtype_).permute({0, 2, 3, 1}).contiguous();
  std::vector<at::Tensor> latents;
  for (int64_t first = 0, count = 0; first < frames.size(0); first += count) {
    count = std::min(kFramesTogether + (first == 0 ? alone : 0), frames.size(0) - first);
    latents.push_back(encode_frames(frames.narrow(0, first, count)));
  }
  started_ = true;
  return at::cat(latents).permute({0, 3, 1, 2}).unsqueeze(0).to(at::kFloat, false, false, at::MemoryFormat::Contiguous);
}

at::Tensor WanEncoder::encode_frames(const at::Tensor& pixels) {
  at::Tensor frames = input_.forward(patch_ == 1 ? pixels : planes_of_frames(pixels, order_), cache_);
  for (const Stage& stage : stages_)
    frames = std::visit([&](const auto& module) { return module.forward(std::move(frames), cache_); }, stage);
  frames = middle0_.forward(std::move(frames), cache_);
  frames = middle1_.forward(std::move(frames), cache_);
  frames = middle2_.forward(std::move(frames), cache_);
  BiasedFrames moments = output_.forward_normalised({frames, {}}, output_norm_, cache_);
  if (moments.bias.defined()) add_bias(moments.frames, moments.bias);
  return stats_.normalise(latent_conv_.forward(moments.frames));
}

}  // namespace flashblock
