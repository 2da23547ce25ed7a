#include "vae/convolution.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/cudnn_convolution.h>
#include <ATen/ops/linear.h>

#include <algorithm>

#include "core/check.h"
#include "vae/frame_ops.h"
#include "vae/onednn.h"

namespace flashblock {
namespace {

/// [T, H, W, C] as [T, C, H, W], channels last in memory.
at::Tensor as_images(const at::Tensor& frames) { return frames.permute({0, 3, 1, 2}); }
at::Tensor from_images(const at::Tensor& images) { return images.permute({0, 2, 3, 1}).contiguous(); }

/// [T, H, W, C] as [1, C, T, H, W], channels last in memory.
at::Tensor as_clip(const at::Tensor& frames) { return frames.unsqueeze(0).permute({0, 4, 1, 2, 3}); }
at::Tensor from_clip(const at::Tensor& clip) { return clip.squeeze(0).permute({1, 2, 3, 0}).contiguous(); }

onednn::ConvArguments image_arguments(ConvGeometry geometry) {
  return {{geometry.padding, geometry.padding}, {geometry.stride, geometry.stride}};
}

onednn::ConvArguments clip_arguments(ConvGeometry geometry) {
  return {{0, geometry.padding, geometry.padding}, {geometry.time_stride, geometry.stride, geometry.stride}};
}

// For this many channels the 3-D convolution that cuDNN's heuristics choose takes twice as long as a 2-D one with three
// times the channels: 96 to 96 at 480x832 in bfloat16 0.83 ms per frame against 0.40 on an H100.
constexpr int64_t kJoinedChannels = 96;

// [T + taps - 1, H, W, C] as [T, H, W, taps C].
at::Tensor join_taps(const at::Tensor& frames, int64_t taps) {
  std::vector<at::Tensor> shifted;
  for (int64_t tap = 0; tap < taps; ++tap) shifted.push_back(frames.narrow(0, tap, frames.size(0) - taps + 1));
  return at::cat(shifted, 3);
}

constexpr int64_t kTypicalHeight = 72, kTypicalWidth = 128;  // frame size that weights are packed for

}  // namespace

Convolution::Algorithm Convolution::choose(const at::Tensor& weight, at::ScalarType dtype, ConvGeometry geometry) {
  const bool pointwise = weight[0][0].numel() == 1 && geometry.stride == 1 && geometry.time_stride == 1;
  if (pointwise) return Algorithm::kMatrixProduct;
  if (!weight.device().is_cpu() || !onednn::available(dtype)) {
    const bool joined = weight.dim() == 5 && weight.size(1) == kJoinedChannels && geometry.time_stride == 1;
    return joined ? Algorithm::kJoinedTaps : Algorithm::kPlain;
  }
  // oneDNN's float32 3-D convolution is an order of magnitude slower than its 2-D one where channels are few.
  const bool clip = weight.dim() == 5 && (dtype == at::kBFloat16 || geometry.time_stride != 1);
  return clip ? Algorithm::kOneDnnClip : Algorithm::kOneDnnFrames;
}

Convolution::Convolution(const ConvWeights& weights, at::ScalarType dtype, ConvGeometry geometry)
    : algorithm_(choose(weights.weight, dtype, geometry)), geometry_(geometry) {
  const at::Tensor weight = weights.weight.to(dtype);
  FB_CHECK(weight.dim() == 4 || weight.dim() == 5, "a convolution weight of rank ", weight.dim());
  time_taps_ = weight.dim() == 5 ? weight.size(2) : 1;
  out_channels_ = weight.size(0);
  if (weights.bias.defined()) {
    if (weight.is_cuda() && algorithm_ != Algorithm::kMatrixProduct)
      late_bias_ = weights.bias.to(at::kFloat).clone();
    else
      bias_ = weights.bias.to(dtype).clone();
  }
  const int64_t in_channels = weight.size(1);
  switch (algorithm_) {
    case Algorithm::kMatrixProduct:
      weights_ = {weight.reshape({out_channels_, in_channels}).clone()};
      break;
    case Algorithm::kOneDnnFrames:
      for (int64_t tap = 0; tap < time_taps_; ++tap) {
        const at::Tensor slice = weight.dim() == 5 ? weight.select(2, tap) : weight;
        weights_.push_back(onednn::pack(slice.contiguous(at::MemoryFormat::ChannelsLast), image_arguments(geometry),
                                        {4, in_channels, kTypicalHeight, kTypicalWidth}));
      }
      break;
    case Algorithm::kOneDnnClip:
      weights_ = {onednn::pack(weight.contiguous(at::MemoryFormat::ChannelsLast3d), clip_arguments(geometry),
                               {1, in_channels, 4 + time_taps_ - 1, kTypicalHeight, kTypicalWidth})};
      break;
    case Algorithm::kJoinedTaps:
      weights_ = {weight.transpose(1, 2).flatten(1, 2).clone(at::MemoryFormat::ChannelsLast)};
      break;
    case Algorithm::kPlain:
      weights_ = {weight.clone(weight.dim() == 5 ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::ChannelsLast)};
      break;
  }
}

at::Tensor Convolution::forward(const at::Tensor& frames) const {
  BiasedFrames result = forward_biased(frames);
  if (result.bias.defined()) add_bias(result.frames, result.bias);
  return result.frames;
}

BiasedFrames Convolution::forward_biased(const at::Tensor& frames) const { return {run(frames, nullptr), late_bias_}; }

void Convolution::add_to(at::Tensor& sum, const at::Tensor& frames) const {
  const at::Tensor result = run(frames, &sum);
  if (result.defined()) add_biased(sum, {result, late_bias_});
}

// Each of these returns the result, or, if it added it to `sum` in place, an undefined tensor.

at::Tensor Convolution::run(const at::Tensor& frames, at::Tensor* sum) const {
  switch (algorithm_) {
    case Algorithm::kMatrixProduct:
      return run_matrix_product(frames, sum);
    case Algorithm::kOneDnnFrames:
      return run_onednn_frames(frames, sum);
    case Algorithm::kOneDnnClip:
      return run_onednn_clip(frames, sum);
    case Algorithm::kJoinedTaps:
      return run_joined_taps(frames);
    case Algorithm::kPlain:
      break;
  }
  return run_plain(frames);
}

at::Tensor Convolution::run_matrix_product(const at::Tensor& frames, at::Tensor*) const {
  const at::Tensor result = at::linear(frames.reshape({-1, frames.size(3)}), weights_[0], bias_);
  return result.view({frames.size(0), frames.size(1), frames.size(2), out_channels_});
}

at::Tensor Convolution::run_onednn_frames(const at::Tensor& frames, at::Tensor* sum) const {
  const onednn::ConvArguments arguments = image_arguments(geometry_);
  const int64_t out_frames = frames.size(0) - time_taps_ + 1;
  at::Tensor result = sum ? as_images(*sum) : at::Tensor();
  for (int64_t tap = 0; tap < time_taps_; ++tap) {
    const at::Tensor images = as_images(frames.narrow(0, tap, out_frames));
    const at::Tensor bias = tap == 0 ? bias_ : at::Tensor();
    if (result.defined())
      onednn::convolve_add(result, images, weights_[tap], bias, arguments);
    else
      result = onednn::convolve(images, weights_[tap], bias, arguments);
  }
  return sum ? at::Tensor() : from_images(result);
}

at::Tensor Convolution::run_onednn_clip(const at::Tensor& frames, at::Tensor* sum) const {
  const onednn::ConvArguments arguments = clip_arguments(geometry_);
  if (!sum) return from_clip(onednn::convolve(as_clip(frames), weights_[0], bias_, arguments));
  at::Tensor clip = as_clip(*sum);
  onednn::convolve_add(clip, as_clip(frames), weights_[0], bias_, arguments);
  return {};
}

// In parts, since joining triples the memory of the input.
at::Tensor Convolution::run_joined_taps(const at::Tensor& frames) const {
  constexpr int64_t kPart = 4;
  const int64_t history = time_taps_ - 1, out_frames = frames.size(0) - history;
  if (out_frames <= kPart) return run_plain(join_taps(frames, time_taps_));
  std::vector<at::Tensor> parts;
  for (int64_t first = 0; first < out_frames; first += kPart) {
    const int64_t count = std::min(kPart, out_frames - first);
    parts.push_back(run_plain(join_taps(frames.narrow(0, first, count + history), time_taps_)));
  }
  return at::cat(parts);
}

at::Tensor Convolution::run_plain(const at::Tensor& frames) const {
  const bool clip = weights_[0].dim() == 5;
  const at::Tensor input = clip ? as_clip(frames) : as_images(frames);
  const onednn::ConvArguments arguments = clip ? clip_arguments(geometry_) : image_arguments(geometry_);
  const std::vector<int64_t> dilation(arguments.stride.size(), 1);
  at::Tensor result;
  if (frames.is_cuda()) {
    // Called directly, to be independent of global settings.
    result = at::cudnn_convolution(input, weights_[0], arguments.padding, arguments.stride, dilation, 1,
                                   /*benchmark=*/false, /*deterministic=*/false, /*allow_tf32=*/false);
  } else {
    const std::vector<int64_t> no_output_padding(arguments.stride.size(), 0);
    result = at::convolution(input, weights_[0], bias_, arguments.stride, arguments.padding, dilation,
                             /*transposed=*/false, no_output_padding, 1);
  }
  return clip ? from_clip(result) : from_images(result);
}

}  // namespace flashblock
