#include "vae/wan_decoder.h"

#include <ATen/ops/cat.h>

#include <algorithm>

#include "core/check.h"

namespace flashblock {
namespace {

// Latent frames that go through the network together: it bounds the memory of a long call.
constexpr int64_t kFramesTogether = 3;

}  // namespace

WanDecoder::WanDecoder(const CoderWeights& weights, at::ScalarType dtype)
    : dtype_(dtype),
      device_(weights.output_norm.device()),
      stats_(device_, dtype),
      latent_conv_(weights.latent_conv, dtype, {}),
      input_("conv1", weights.input, dtype),
      middle0_("middle.0", weights.middle0, dtype),
      middle1_(weights.attention, dtype),
      middle2_("middle.2", weights.middle2, dtype),
      output_norm_(weights.output_norm),
      output_("head.2", weights.output, dtype) {
  for (const StageWeights& stage : weights.stages) {
    if (const auto* residual = std::get_if<ResidualWeights>(&stage.module))
      stages_.emplace_back(ResidualBlock(stage.name, *residual, dtype));
    else
      stages_.emplace_back(Upsampler(stage.name, std::get<ResampleWeights>(stage.module), dtype));
  }
}

at::Tensor WanDecoder::decode_unclamped(const at::Tensor& latents) {
  FB_CHECK(latents.dim() == 5 && latents.size(0) == 1 && latents.size(1) > 0 && latents.size(2) == latent_channels(),
           "latents must be [1, F, 16, H, W], found ", latents.sizes());
  const at::Tensor frames = latents[0].to(device_, dtype_).permute({0, 2, 3, 1}).contiguous();
  std::vector<at::Tensor> pictures;
  for (int64_t first = 0; first < frames.size(0); first += kFramesTogether)
    pictures.push_back(decode_frames(frames.narrow(0, first, std::min(kFramesTogether, frames.size(0) - first))));
  return pictures.size() == 1 ? pictures[0] : at::cat(pictures);
}

at::Tensor WanDecoder::decode_frames(const at::Tensor& latents) {
  at::Tensor frames = input_.forward(latent_conv_.forward(stats_.denormalise(latents)), cache_);
  frames = middle0_.forward(std::move(frames), cache_);
  frames = middle1_.forward(std::move(frames));
  frames = middle2_.forward(std::move(frames), cache_);
  for (const Stage& stage : stages_)
    frames = std::visit([&](const auto& module) { return module.forward(std::move(frames), cache_); }, stage);
  return output_.forward(frames, output_norm_, cache_).mul_(0.5).add_(0.5);  // from [-1, 1] to [0, 1]
}

}  // namespace flashblock
