#include "vae/causal_conv3d.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "vae/bordered_convolution.h"
#include "vae/int8_convolution.h"

namespace flashblock {

CausalConv3d::CausalConv3d(std::string slot, const ConvWeights& weights, at::ScalarType dtype)
    : slot_(std::move(slot)),
      prepared_(BorderedConvolution::supports(weights, dtype) ? std::make_unique<const BorderedConvolution>(weights)
                                                              : nullptr),
      convolution_(prepared_ ? Convolution()
                             : Convolution(weights, dtype, {.padding = (weights.weight.size(-1) - 1) / 2})) {}

CausalConv3d::CausalConv3d(std::string slot, const ConvWeights& weights, at::ScalarType dtype, const at::Tensor& gamma)
    : slot_(std::move(slot)), prepared_(std::make_unique<const Int8Convolution>(weights, gamma, dtype)) {}

PreparedConvolution::History CausalConv3d::exchange_history(const at::Tensor& prepared, FeatureCache& cache) const {
  if (!cache.contains(slot_)) cache.start_frames(slot_, history(), prepared_->frame_before_video(prepared));
  const auto last = cache.last_frames(slot_, history(), prepared.sizes().slice(1), prepared.options());
  cache.keep_frames(slot_, prepared);
  return {last[0], last[1]};
}

at::Tensor CausalConv3d::window(const at::Tensor& frames, FeatureCache& cache) const {
  at::Tensor window = cache.open_window(slot_, history(), frames.size(0), frames.sizes().slice(1), frames.options());
  window.narrow(0, history(), frames.size(0)).copy_(frames);
  cache.keep_last(slot_, history(), window);
  return window;
}

at::Tensor CausalConv3d::normalised_window(const BiasedFrames& frames, const at::Tensor& gamma,
                                           FeatureCache& cache) const {
  FB_CHECK(!prepared_);
  const at::Tensor& x = frames.frames;
  at::Tensor window = cache.open_window(slot_, history(), x.size(0), x.sizes().slice(1), x.options());
  rms_norm(frames, gamma, Activation::kSilu, window.narrow(0, history(), x.size(0)));
  cache.keep_last(slot_, history(), window);
  return window;
}

at::Tensor CausalConv3d::forward(const at::Tensor& frames, FeatureCache& cache) const {
  BiasedFrames result = forward_biased(frames, cache);
  if (result.bias.defined()) add_bias(result.frames, result.bias);
  return result.frames;
}

template <typename PreparedPart>
at::Tensor CausalConv3d::forward_in_parts(const at::Tensor& frames, FeatureCache& cache,
                                          const PreparedPart& prepared_part) const {
  at::Tensor result =
      at::empty({frames.size(0), frames.size(1), frames.size(2), prepared_->out_channels()}, frames.options());
  for (int64_t first = 0; first < frames.size(0); first += kPart) {
    const int64_t count = std::min(kPart, frames.size(0) - first);
    const at::Tensor prepared = prepared_part(frames.narrow(0, first, count));
    prepared_->forward(exchange_history(prepared, cache), prepared, result.narrow(0, first, count));
  }
  return result;
}

BiasedFrames CausalConv3d::forward_biased(const at::Tensor& frames, FeatureCache& cache) const {
  if (!prepared_) return convolution_.forward_biased(window(frames, cache));
  const auto plain = [&](const at::Tensor& part) { return prepared_->prepare(part); };
  return {forward_in_parts(frames, cache, plain), {}};
}

BiasedFrames CausalConv3d::forward_normalised(const BiasedFrames& frames, const at::Tensor& gamma,
                                              FeatureCache& cache) const {
  if (!prepared_) return convolution_.forward_biased(normalised_window(frames, gamma, cache));
  const auto normalised = [&](const at::Tensor& part) {
    return prepared_->prepare_normalised({part, frames.bias}, gamma);
  };
  return {forward_in_parts(frames.frames, cache, normalised), {}};
}

at::Tensor CausalConv3d::forward_between_norms(const at::Tensor& frames, const at::Tensor& gamma,
                                               const at::Tensor& next_gamma, const CausalConv3d& next,
                                               FeatureCache& cache) const {
  const at::Tensor prepared = prepared_->prepare_normalised({frames, {}}, gamma);
  return prepared_->forward_prepared(exchange_history(prepared, cache), prepared, next_gamma, *next.prepared_);
}

void CausalConv3d::add_prepared_to(at::Tensor sum, const at::Tensor& prepared, FeatureCache& cache) const {
  FB_CHECK(prepared_);
  prepared_->add_to(sum, exchange_history(prepared, cache), prepared);
}

void CausalConv3d::add_normalised_to(at::Tensor& sum, const BiasedFrames& frames, const at::Tensor& gamma,
                                     FeatureCache& cache) const {
  if (!prepared_) return convolution_.add_to(sum, normalised_window(frames, gamma, cache));
  for (int64_t first = 0; first < sum.size(0); first += kPart) {
    const int64_t count = std::min(kPart, sum.size(0) - first);
    const BiasedFrames part{frames.frames.narrow(0, first, count), frames.bias};
    add_prepared_to(sum.narrow(0, first, count), prepared_->prepare_normalised(part, gamma), cache);
  }
}

void CausalConv3d::start_history(at::IntArrayRef frame_sizes, const at::TensorOptions& options,
                                 FeatureCache& cache) const {
  if (!prepared_) {
    cache.open_window(slot_, history(), 0, frame_sizes, options);
    return;
  }
  if (cache.contains(slot_)) return;
  const at::Tensor zeros = at::zeros({1, frame_sizes[0], frame_sizes[1], frame_sizes[2]}, options);
  cache.start_frames(slot_, history(), prepared_->prepare(zeros)[0]);
}

}  // namespace flashblock
