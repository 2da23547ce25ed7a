#include "vae/coder_blocks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/check.h"

namespace flashblock {
namespace {

/// Attention of every position of a frame to every other. Shape: q, k, v [T, L, C]; result likewise.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (!q.is_cuda()) return at::scaled_dot_product_attention(q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1)).squeeze(1);
  // LibTorch's fused kernels support at most 256 channels per head, and this head has 384: two matrix products with the
  // scores in float32.
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(2)));
  const at::Tensor keys = k.transpose(1, 2);
  at::Tensor scores = q.scalar_type() == at::kFloat ? at::bmm(q, keys) : at::bmm(q, keys, at::kFloat);
  return at::bmm(at::softmax(scores.mul_(scale), -1).to(v.scalar_type()), v);
}

/// Sums of the taps of a 3-tap kernel on each of two neighbouring inputs: for output 2i they are inputs i - 1 and i,
/// for output 2i + 1 inputs i and i + 1. Shape: weight with 3 taps along `dim`; result with a new leading dimension of
/// 2 phases, 2 taps along `dim`.
at::Tensor phase_taps(const at::Tensor& weight, int64_t dim) {
  const at::Tensor first = weight.narrow(dim, 0, 1), middle = weight.narrow(dim, 1, 1), last = weight.narrow(dim, 2, 1);
  return at::stack({at::cat({first, middle + last}, dim), at::cat({first + middle, last}, dim)});
}

/// The frames + bias, each split into frames by channels. Shape: [T, H, W, n C] to [n T, H, W, C].
at::Tensor split_channels(BiasedFrames frames, int64_t frames_per_frame) {
  if (frames.bias.defined()) add_bias(frames.frames, frames.bias);
  if (frames_per_frame == 1) return frames.frames;
  return at::stack(frames.frames.chunk(frames_per_frame, 3), 1).flatten(0, 1);
}

CausalConv3d after_norm(const std::string& slot, const ConvWeights& weights, at::ScalarType dtype,
                        const at::Tensor& gamma, DecoderPrecision precision) {
  return precision == DecoderPrecision::kInt8 ? CausalConv3d(slot, weights, dtype, gamma)
                                              : CausalConv3d(slot, weights, dtype);
}

}  // namespace

ResidualBlock::ResidualBlock(const std::string& name, const ResidualWeights& weights, at::ScalarType dtype,
                             DecoderPrecision precision)
    : norm1_(weights.norm1),
      norm2_(weights.norm2),
      conv1_(after_norm(name + ".residual.2", weights.conv1, dtype, weights.norm1, precision)),
      conv2_(after_norm(name + ".residual.6", weights.conv2, dtype, weights.norm2, precision)) {
  if (weights.shortcut.weight.defined()) shortcut_.emplace(weights.shortcut, dtype, ConvGeometry{});
}

at::Tensor ResidualBlock::forward(at::Tensor frames, FeatureCache& cache) const {
  if (conv1_.fuses_norms()) return forward_in_parts(frames, cache);
  const BiasedFrames inner = conv1_.forward_normalised({frames, {}}, norm1_, cache);
  at::Tensor sum = shortcut_ ? shortcut_->forward(frames) : std::move(frames);
  conv2_.add_normalised_to(sum, inner, norm2_, cache);
  return sum;
}

at::Tensor ResidualBlock::forward_in_parts(const at::Tensor& frames, FeatureCache& cache) const {
  const at::Tensor sum = shortcut_ ? shortcut_->forward(frames) : frames;
  for (int64_t first = 0; first < frames.size(0); first += CausalConv3d::kPart) {
    const int64_t count = std::min(CausalConv3d::kPart, frames.size(0) - first);
    const at::Tensor part = frames.narrow(0, first, count);
    const at::Tensor inner = conv1_.forward_between_norms(part, norm1_, norm2_, conv2_, cache);
    conv2_.add_prepared_to(sum.narrow(0, first, count), inner, cache);
  }
  return sum;
}

SpatialAttention::SpatialAttention(const SpatialAttentionWeights& weights, at::ScalarType dtype)
    : norm_(weights.norm), to_qkv_(weights.to_qkv, dtype, {}), proj_(weights.proj, dtype, {}) {}

at::Tensor SpatialAttention::forward(at::Tensor frames, FeatureCache&) const {
  at::Tensor normalised = at::empty_like(frames);
  rms_norm({frames, {}}, norm_, Activation::kNone, normalised);
  const std::vector<at::Tensor> qkv = to_qkv_.forward(normalised).flatten(1, 2).chunk(3, 2);
  proj_.add_to(frames, attend(qkv[0], qkv[1], qkv[2]).contiguous().view_as(frames));
  return frames;
}

ConvWeights all_phases(const ConvWeights& weights) {
  const at::Tensor rows = phase_taps(weights.weight, 2);        // [2, Cout, Cin, 2, 3]
  const at::Tensor both = phase_taps(rows, 4).transpose(0, 1);  // [row phase, column phase, Cout, Cin, 2, 2]
  const at::Tensor bias =
      weights.bias.defined() ? at::cat({weights.bias, weights.bias, weights.bias, weights.bias}) : at::Tensor();
  return {both.flatten(0, 2), bias};
}

DoublingConvolution::DoublingConvolution(const ConvWeights& weights, at::ScalarType dtype) {
  const ConvWeights phases = all_phases(weights);
  if (BorderedDoubling::supports(phases, dtype))
    bordered_ = std::make_unique<const BorderedDoubling>(phases);
  else
    phases_ = Convolution(phases, dtype, {.padding = 1});
}

at::Tensor DoublingConvolution::forward(const BiasedFrames& frames, int64_t frames_per_frame) const {
  if (bordered_) return bordered_->forward(add_border(frames, frames_per_frame));
  return interleave_phases(phases_.forward_biased(split_channels(frames, frames_per_frame)));
}

Upsampler::Upsampler(const std::string& name, const ResampleWeights& weights, at::ScalarType dtype)
    : spatial_(weights.spatial, dtype) {
  if (weights.time.weight.defined()) time_.emplace(name + ".time_conv", weights.time, dtype);
}

at::Tensor Upsampler::forward(const at::Tensor& frames, FeatureCache& cache) const {
  constexpr int64_t kRate = 2;  // the halves of the time convolution's channels are two frames
  if (!time_) return spatial_.forward(frames);
  if (cache.contains(time_->slot())) return spatial_.forward(time_->forward_biased(frames, cache), kRate);
  pass_start(frames.sizes().slice(1), frames.options(), cache);
  const at::Tensor first = frames.narrow(0, 0, 1), later = frames.narrow(0, 1, frames.size(0) - 1);
  if (later.size(0) == 0) return spatial_.forward(first);
  return spatial_.forward(at::cat({first, split_channels(time_->forward_biased(later, cache), kRate)}));
}

void Upsampler::pass_start(at::IntArrayRef frame_sizes, const at::TensorOptions& options, FeatureCache& cache) const {
  if (starts(cache)) time_->start_history(frame_sizes, options, cache);
}

Downsampler::Downsampler(const std::string& name, const ResampleWeights& weights, at::ScalarType dtype)
    : slot_(name + ".time_conv"), spatial_(weights.spatial, dtype, {.stride = 2}) {
  if (weights.time.weight.defined()) time_.emplace(weights.time, dtype, ConvGeometry{.time_stride = 2});
}

at::Tensor Downsampler::forward(const at::Tensor& frames, FeatureCache& cache) const {
  const at::Tensor padded = at::constant_pad_nd(frames, {0, 0, 0, 1, 0, 1});  // one column right, one row below
  const at::Tensor small = spatial_.forward(padded);
  return time_ ? halve_frame_rate(small, cache) : small;
}

at::Tensor Downsampler::halve_frame_rate(const at::Tensor& frames, FeatureCache& cache) const {
  // One frame of history: the last one before this convolution. The video's first frame only becomes history.
  const bool starts = !cache.contains(slot_);
  at::Tensor window = cache.open_window(slot_, 1, frames.size(0), frames.sizes().slice(1), frames.options());
  window.narrow(0, 1, frames.size(0)).copy_(frames);
  cache.keep_last(slot_, 1, window);
  if (!starts) return time_->forward(window);
  const at::Tensor first = frames.narrow(0, 0, 1);
  return frames.size(0) == 1 ? first : at::cat({first, time_->forward(frames)});
}

}  // namespace flashblock
