#include "vae/int8_convolution.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "vae/frame_ops.h"
#ifdef FLASHBLOCK_CUDA
#include "vae/int8_convolution_cuda.h"
#include "vae/kernels/quantised_norm.h"
#endif

namespace flashblock {
namespace {

constexpr int64_t kPlane = 16, kKernelWidths = 96, kChannelGroup = 32;
constexpr double kLargestWeight = 127, kLargest = 255;  // 8 bits with and without sign

bool has_kernels(const ConvWeights& weights, at::ScalarType dtype) {
#ifdef FLASHBLOCK_CUDA
  const at::Tensor& weight = weights.weight;
  return dtype == at::kBFloat16 && weight.is_cuda() && weight.size(0) % kKernelWidths == 0 &&
         kernels::quantised_norm_takes(weight.size(1)) && cuda::has_int8_convolutions(weight.device());
#else
  return static_cast<void>(weights), static_cast<void>(dtype), false;
#endif
}

/// Numbers of a channel along dimension 1 of weights.
at::Tensor per_input(const at::Tensor& channels) { return channels.view({1, -1, 1, 1, 1}); }
at::Tensor per_output(const at::Tensor& channels) { return channels.view({-1, 1, 1, 1, 1}); }

/// Shape: [Cout, Cin, 3, 3, 3] to [3, 3, Cin / 16, 3, Cout, 16]; of 32 output channels, 8 q + 2 j + e comes to 8 j + 2
/// q
/// + e (kernels/hopper_int8_convolution.h).
at::Tensor weights_in_planes(const at::Tensor& weights) {
  const int64_t out = weights.size(0), in = weights.size(1);
  const at::Tensor ordered =
      weights.view({out / kChannelGroup, 4, 4, 2, in, 3, 3, 3}).transpose(1, 2).reshape({out, in, 3, 3, 3});
  return ordered.view({out, in / kPlane, kPlane, 3, 3, 3}).permute({3, 4, 1, 5, 0, 2}).to(at::kChar).contiguous();
}

}  // namespace

Int8Rounding::Int8Rounding(const at::Tensor& norm) : gamma(norm.to(at::kFloat).flatten().contiguous()) {
  constexpr double kLowest = 1.2784645427610738;  // SiLU is lowest at minus this
  const double reach = std::min(kReach, std::sqrt(static_cast<double>(gamma.numel())));
  const at::Tensor largest = gamma.to(at::kCPU, at::kDouble).abs().clamp_min(1e-6) * reach;
  const at::Tensor low = at::silu(-largest.clamp_max(kLowest)), high = at::silu(largest);
  const at::Tensor steps = (high - low) / kLargest;
  inverse_steps = steps.reciprocal().to(gamma.device(), at::kFloat);
  zeros = (-low / steps).round().to(gamma.device(), at::kFloat);
}

Int8Convolution::Int8Convolution(const ConvWeights& weights, const at::Tensor& gamma, at::ScalarType dtype)
    : rounding_(gamma), dtype_(dtype) {
  FB_CHECK(weights.weight.dim() == 5 && weights.weight.sizes().slice(2) == at::IntArrayRef({3, 3, 3}) &&
               weights.weight.size(1) == rounding_.gamma.numel(),
           "a convolution in 8 bits of ", weights.weight.sizes(), " after a norm of ", rounding_.gamma.numel());
  const at::Tensor weight = weights.weight.to(at::kFloat) / per_input(rounding_.inverse_steps);
  scales_ = weight.flatten(1).abs().amax(1).clamp_min(1e-30) / kLargestWeight;
  const at::Tensor integers = (weight / per_output(scales_)).round();
  bias_ = weights.bias.defined() ? weights.bias.to(at::kFloat).clone() : at::zeros({weight.size(0)}, weight.options());
  if (!has_kernels(weights, dtype)) {
    integers_ = Convolution({integers, {}}, dtype, {.padding = 1});
    return;
  }
  const at::Tensor zero_sums = (integers.to(at::kDouble) * per_input(rounding_.zeros)).flatten(1).sum(1);
  bias_ = (bias_.to(at::kDouble) - zero_sums * scales_.to(at::kDouble)).to(at::kFloat);
  planes_ = weights_in_planes(integers);
}

at::Tensor Int8Convolution::quantise(const at::Tensor& x) const {
#ifdef FLASHBLOCK_CUDA
  if (planes_.defined()) return cuda::quantised_norm(x, rounding_);
#endif
  return reference::quantised_norm(x, rounding_).to(dtype_);
}

at::Tensor Int8Convolution::prepare_normalised(const BiasedFrames& frames, const at::Tensor&) const {
  FB_CHECK(!frames.bias.defined());
  return quantise(frames.frames);
}

at::Tensor Int8Convolution::prepare(const at::Tensor&) const {
  FB_CHECK(false, "a convolution in 8 bits of frames that no norm is in front of");
  return {};
}

at::Tensor Int8Convolution::frame_before_video(const at::Tensor& quantised) const {
  const at::IntArrayRef sizes = quantised.sizes().slice(1);
  if (!planes_.defined()) return at::zeros(sizes, quantised.options());
  return rounding_.zeros.to(at::kByte).view({-1, 1, 1, kPlane}).expand(sizes).contiguous();
}

at::Tensor Int8Convolution::sums(const History& history, const at::Tensor& quantised) const {
  const at::Tensor window = at::cat({at::stack({history[0], history[1]}), quantised});
  return integers_.forward(window).to(at::kFloat).mul_(scales_).add_(bias_);
}

void Int8Convolution::forward(const History& history, const at::Tensor& quantised, at::Tensor result) const {
#ifdef FLASHBLOCK_CUDA
  if (planes_.defined())
    return cuda::int8_convolution({planes_, scales_, bias_, history, quantised}, result, cuda::Int8Target::kReplace);
#endif
  result.copy_(sums(history, quantised));
}

void Int8Convolution::add_to(at::Tensor result, const History& history, const at::Tensor& quantised) const {
#ifdef FLASHBLOCK_CUDA
  if (planes_.defined())
    return cuda::int8_convolution({planes_, scales_, bias_, history, quantised}, result, cuda::Int8Target::kAdd);
#endif
  result.copy_(sums(history, quantised).add_(result));
}

bool Int8Convolution::quantises() const {
  constexpr int64_t kWide = 2 * kKernelWidths, kPlanesOfWideSteps = 4;
  if (!planes_.defined()) return false;
  return out_channels() == kKernelWidths || (out_channels() == kWide && planes_.size(2) % kPlanesOfWideSteps == 0);
}

at::Tensor Int8Convolution::forward_quantised(const History& history, const at::Tensor& quantised,
                                              const Int8Convolution& next) const {
#ifdef FLASHBLOCK_CUDA
  if (quantises())
    return cuda::int8_convolution_quantised({planes_, scales_, bias_, history, quantised}, next.rounding_);
#endif
  FB_CHECK(!planes_.defined() && !next.planes_.defined());
  return reference::quantised_norm(sums(history, quantised), next.rounding_).to(dtype_);
}

at::Tensor Int8Convolution::forward_prepared(const History& history, const at::Tensor& quantised, const at::Tensor&,
                                             const PreparedConvolution& next) const {
  return forward_quantised(history, quantised, dynamic_cast<const Int8Convolution&>(next));
}

namespace reference {

at::Tensor quantised_norm(const at::Tensor& x, const Int8Rounding& rounding) {
  const at::Tensor frames = x.to(at::kFloat);
  at::Tensor y = at::empty_like(frames);
  flashblock::rms_norm({frames, {}}, rounding.gamma, Activation::kSilu, y);
  return (y * rounding.inverse_steps + rounding.zeros).round_().clamp_(0, kLargest).sub_(rounding.zeros);
}

at::Tensor to_planes(const at::Tensor& quantised, const Int8Rounding& rounding) {
  const at::Tensor bordered = at::constant_pad_nd(quantised, {0, 0, 1, 1, 1, 1}) + rounding.zeros;
  return bordered.unflatten(3, {-1, kPlane}).permute({0, 3, 1, 2, 4}).to(at::kByte).contiguous();
}

at::Tensor from_planes(const at::Tensor& planes, const Int8Rounding& rounding) {
  const at::Tensor whole = planes.permute({0, 2, 3, 1, 4}).flatten(3).to(at::kFloat) - rounding.zeros;
  return whole.narrow(1, 1, whole.size(1) - 2).narrow(2, 1, whole.size(2) - 2).contiguous();
}

}  // namespace reference
}  // namespace flashblock
