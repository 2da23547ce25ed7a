#include "vae/tiny_decoder.h"

#include <ATen/ops/cat.h>

#include <utility>
#include <vector>

#include "core/check.h"
#include "vae/pixel_patches.h"

namespace flashblock {
namespace {

constexpr int64_t kSurplusFrames = 3;  // 4 frames per latent frame, except 1 for the first latent frame of a video

}  // namespace

TinyDecoder::TinyDecoder(const VaeLayout& layout, at::Device device, at::ScalarType dtype)
    : layout_(layout), device_(device), dtype_(dtype) {}

void TinyDecoder::reset() {
  cache_.reset();
  started_ = false;
}

at::Tensor TinyDecoder::to_frames(const at::Tensor& latents) const {
  FB_CHECK(latents.dim() == 5 && latents.size(0) == 1 && latents.size(1) > 0 && latents.size(2) == latent_channels(),
           "latents must be [1, F, ", latent_channels(), ", H, W], found ", latents.sizes());
  return latents[0].to(device_, dtype_).permute({0, 2, 3, 1}).contiguous();
}

at::Tensor TinyDecoder::decode_unclamped(const at::Tensor& latents) {
  std::vector<at::Tensor> pixels;
  for (const at::Tensor& frames : split(to_frames(latents))) pixels.push_back(decode_frames(frames));
  at::Tensor video = pixels.size() == 1 ? pixels[0] : at::cat(pixels);
  if (!std::exchange(started_, true)) video = video.narrow(0, kSurplusFrames, video.size(0) - kSurplusFrames);
  return video.contiguous();
}

at::Tensor TinyDecoder::decode_frames(const at::Tensor& latents) {
  const at::Tensor planes = head(run(latents, layer_memories().size()))
                                .permute({0, 3, 1, 2})
                                .to(at::kFloat, false, false, at::MemoryFormat::Contiguous);
  return layout_.patch == 1 ? planes : pixels_of_planes(planes, layout_.order);
}

void TinyDecoder::fill_history(const at::Tensor& latents, size_t layers, Place) {
  run(latents, layers);
  started_ = true;
}

}  // namespace flashblock
