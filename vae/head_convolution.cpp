#include "vae/head_convolution.h"

#include <ATen/ops/mm.h>

#include <utility>

#include "core/check.h"
#ifdef FLASHBLOCK_CUDA
#include "vae/frame_ops_cuda.h"
#endif

namespace flashblock {

HeadConvolution::HeadConvolution(std::string slot, const ConvWeights& weights, at::ScalarType dtype)
    : convolution_(std::move(slot), weights, dtype) {
  FB_CHECK(weights.weight[0][0].numel() == kTaps);
  if (!weights.weight.is_cuda() || weights.weight.size(0) != kColours) return;
  tap_weights_ =
      weights.weight.flatten(2).permute({2, 0, 1}).flatten(0, 1).to(dtype).contiguous();  // [tap * colour, C]
  bias_ = weights.bias.to(at::kFloat).contiguous();
}

at::Tensor HeadConvolution::forward(const at::Tensor& frames, const at::Tensor& gamma, FeatureCache& cache) const {
#ifdef FLASHBLOCK_CUDA
  if (tap_weights_.defined()) {
    const at::Tensor window = convolution_.normalised_window({frames, {}}, gamma, cache);
    const at::Tensor contributions = at::mm(tap_weights_, window.view({-1, window.size(3)}).t());
    return cuda::gather_taps(contributions, bias_, {frames.size(0), kColours, frames.size(1), frames.size(2)});
  }
#endif
  BiasedFrames pixels = convolution_.forward_normalised({frames, {}}, gamma, cache);
  if (pixels.bias.defined()) add_bias(pixels.frames, pixels.bias);
  return pixels.frames.permute({0, 3, 1, 2}).to(at::kFloat, false, false, at::MemoryFormat::Contiguous);
}

}  // namespace flashblock
