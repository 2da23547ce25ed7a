#include "vae/bordered_convolution.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <vector>

#include "core/check.h"
#include "vae/frame_ops.h"
#include "vae/kernels/hopper_limits.h"
#ifdef FLASHBLOCK_CUDA
#include "vae/bordered_convolution_cuda.h"
#endif

namespace flashblock {
namespace {

bool hopper(at::Device device) {
#ifdef FLASHBLOCK_CUDA
  if (device.is_cuda()) return cuda::has_bordered_convolutions(device);
#endif
  return static_cast<void>(device), false;
}

at::Tensor float_bias(const ConvWeights& weights) {
  return weights.bias.defined() ? weights.bias.to(at::kFloat).clone() : at::Tensor();
}

bool supported_widths(int64_t in_channels, int64_t out_channels) {
  return in_channels % kernels::kInChannelsMultiple == 0 && out_channels % kernels::kOutChannelsMultiple == 0;
}

}  // namespace

bool BorderedConvolution::supports(const ConvWeights& weights, at::ScalarType dtype) {
  const at::Tensor& weight = weights.weight;
  return dtype == at::kBFloat16 && weight.dim() == 5 && weight.sizes().slice(2) == at::IntArrayRef({3, 3, 3}) &&
         supported_widths(weight.size(1), weight.size(0)) && hopper(weight.device());
}

BorderedConvolution::BorderedConvolution(const ConvWeights& weights)
    : weights_(weights.weight.to(at::kBFloat16).permute({2, 3, 4, 0, 1}).clone(at::MemoryFormat::Contiguous)),
      bias_(float_bias(weights)) {}

at::Tensor BorderedConvolution::prepare_normalised(const BiasedFrames& frames, const at::Tensor& gamma) const {
  return rms_norm_bordered(frames, gamma, Activation::kSilu);
}

at::Tensor BorderedConvolution::prepare(const at::Tensor& frames) const { return add_border({frames, {}}); }

at::Tensor BorderedConvolution::frame_before_video(const at::Tensor& prepared) const {
  return at::zeros(prepared.sizes().slice(1), prepared.options());
}

void BorderedConvolution::check_result(const at::Tensor& frames, const at::Tensor& result) const {
  const std::vector<int64_t> sizes{frames.size(0), frames.size(1) - 2, frames.size(2) - 2, out_channels()};
  FB_CHECK(result.is_contiguous() && result.sizes() == at::IntArrayRef(sizes) &&
               result.scalar_type() == frames.scalar_type(),
           "a result ", result.sizes(), " of bordered frames ", frames.sizes());
}

void BorderedConvolution::forward(const History& history, const at::Tensor& frames, at::Tensor result) const {
  check_result(frames, result);
#ifdef FLASHBLOCK_CUDA
  if (hopper(frames.device()))
    return cuda::causal_convolution(weights_, bias_, history, frames, result, cuda::Target::kReplace);
#endif
  result.copy_(reference::causal_convolution(weights_, bias_, history, frames));
}

bool BorderedConvolution::normalises() const { return weights_.size(3) <= 2 * kernels::kOutChannelsMultiple; }

at::Tensor BorderedConvolution::forward_normalised(const History& history, const at::Tensor& frames,
                                                   const at::Tensor& gamma) const {
#ifdef FLASHBLOCK_CUDA
  if (hopper(frames.device()) && normalises()) {
    at::Tensor result = at::empty({frames.size(0), frames.size(1), frames.size(2), weights_.size(3)}, frames.options());
    cuda::causal_convolution(weights_, bias_, history, frames, result, cuda::Target::kReplace, gamma);
    return result;
  }
#endif
  const at::Tensor sums = reference::causal_convolution(weights_, bias_, history, frames);
  return reference::rms_norm_bordered({sums, {}}, gamma, Activation::kSilu).to(frames.scalar_type());
}

void BorderedConvolution::add_to(at::Tensor result, const History& history, const at::Tensor& frames) const {
  check_result(frames, result);
#ifdef FLASHBLOCK_CUDA
  if (hopper(frames.device()))
    return cuda::causal_convolution(weights_, bias_, history, frames, result, cuda::Target::kAdd);
#endif
  result.copy_(result + reference::causal_convolution(weights_, bias_, history, frames));
}

bool BorderedDoubling::supports(const ConvWeights& phases, at::ScalarType dtype) {
  const at::Tensor& weight = phases.weight;
  return dtype == at::kBFloat16 && weight.size(0) % 4 == 0 && supported_widths(weight.size(1), weight.size(0) / 4) &&
         hopper(weight.device());
}

BorderedDoubling::BorderedDoubling(const ConvWeights& phases)
    : weights_(phases.weight.to(at::kBFloat16).permute({2, 3, 0, 1}).clone(at::MemoryFormat::Contiguous)),
      bias_(float_bias(phases)) {}

at::Tensor BorderedDoubling::forward(const at::Tensor& frames) const {
#ifdef FLASHBLOCK_CUDA
  if (hopper(frames.device())) {
    at::Tensor result = at::empty(
        {frames.size(0), 2 * (frames.size(1) - 2), 2 * (frames.size(2) - 2), weights_.size(2) / 4}, frames.options());
    cuda::doubling_convolution(weights_, bias_, frames, result);
    return result;
  }
#endif
  return reference::doubling_convolution(weights_, bias_, frames).to(frames.scalar_type());
}

namespace reference {

at::Tensor causal_convolution(const at::Tensor& weights, const at::Tensor& bias,
                              const BorderedConvolution::History& history, const at::Tensor& frames) {
  const at::Tensor window = at::cat({at::stack({history[0], history[1]}), frames});
  const at::Tensor clip = window.to(at::kFloat).permute({3, 0, 1, 2}).unsqueeze(0).contiguous();
  const at::Tensor kernel = weights.to(at::kFloat).permute({3, 4, 0, 1, 2}).contiguous();
  const at::Tensor sums = at::convolution(clip, kernel, bias, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, false, {0, 0, 0}, 1);
  return sums[0].permute({1, 2, 3, 0}).contiguous();
}

at::Tensor doubling_convolution(const at::Tensor& weights, const at::Tensor& bias, const at::Tensor& frames) {
  const at::Tensor images = frames.to(at::kFloat).permute({0, 3, 1, 2}).contiguous();
  const at::Tensor kernel = weights.to(at::kFloat).permute({2, 3, 0, 1}).contiguous();
  const at::Tensor phases = at::convolution(images, kernel, bias, {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, 1);
  return interleave_phases({phases.permute({0, 2, 3, 1}).contiguous(), {}});
}

}  // namespace reference
}  // namespace flashblock
