#include "vae/causal_conv3d.h"

#include <utility>

namespace flashblock {

CausalConv3d::CausalConv3d(std::string slot, const ConvWeights& weights, at::ScalarType dtype)
    : slot_(std::move(slot)), convolution_(weights, dtype, {.padding = (weights.weight.size(-1) - 1) / 2}) {}

at::Tensor CausalConv3d::window(const at::Tensor& frames, FeatureCache& cache) const {
  at::Tensor window = cache.open_window(slot_, history(), frames.size(0), frames.sizes().slice(1), frames.options());
  window.narrow(0, history(), frames.size(0)).copy_(frames);
  cache.keep_last(slot_, history(), window);
  return window;
}

at::Tensor CausalConv3d::normalised_window(const BiasedFrames& frames, const at::Tensor& gamma,
                                           FeatureCache& cache) const {
  const at::Tensor& x = frames.frames;
  at::Tensor window = cache.open_window(slot_, history(), x.size(0), x.sizes().slice(1), x.options());
  rms_norm(frames, gamma, Activation::kSilu, window.narrow(0, history(), x.size(0)));
  cache.keep_last(slot_, history(), window);
  return window;
}

at::Tensor CausalConv3d::forward(const at::Tensor& frames, FeatureCache& cache) const {
  return convolution_.forward(window(frames, cache));
}

BiasedFrames CausalConv3d::forward_normalised(const BiasedFrames& frames, const at::Tensor& gamma,
                                              FeatureCache& cache) const {
  return convolution_.forward_biased(normalised_window(frames, gamma, cache));
}

void CausalConv3d::add_normalised_to(at::Tensor& sum, const BiasedFrames& frames, const at::Tensor& gamma,
                                     FeatureCache& cache) const {
  convolution_.add_to(sum, normalised_window(frames, gamma, cache));
}

void CausalConv3d::start_history(at::IntArrayRef frame_sizes, const at::TensorOptions& options,
                                 FeatureCache& cache) const {
  cache.open_window(slot_, history(), 0, frame_sizes, options);
}

}  // namespace flashblock
