#include "attention/quantised_frames.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "core/check.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#include "attention/element_of.h"
#include "attention/kernels/frame_codes.h"
#endif

namespace flashblock {
namespace {

constexpr double kMostSteps = 127;

int64_t tokens_per_frame(const FrameCodes& codes) { return codes.codes.size(1) / codes.means.size(1); }

/// [B, tokens, N, D] as [B, frames, tokens of a frame, N, D].
at::Tensor by_frame(const at::Tensor& x, const FrameCodes& codes) {
  return x.unflatten(1, {codes.means.size(1), tokens_per_frame(codes)});
}

#ifdef FLASHBLOCK_CUDA

/// `x`: the numbers or the codes, which lie in memory alike.
bool kernel_takes(const at::Tensor& x, const FrameCodes& codes) {
  const int64_t width = codes.codes.size(3);
  const at::ScalarType dtype = codes.means.scalar_type();
  const bool type = dtype == at::kFloat || dtype == at::kBFloat16;
  return x.is_cuda() && type && width >= kLeastCodedWidth && width <= kMostCodedWidth && (width & (width - 1)) == 0 &&
         x.size(0) == 1 && x[0].is_contiguous();
}

FrameCodesArguments arguments_of(const at::Tensor& x, const FrameCodes& codes) {
  return {.element = element_of(x),
          .x = x.data_ptr(),
          .codes = codes.codes.data_ptr<int8_t>(),
          .steps = codes.steps.data_ptr(),
          .means = codes.means.const_data_ptr(),
          .rows = x.size(1) * x.size(2),
          .frame_rows = tokens_per_frame(codes) * x.size(2),
          .heads = x.size(2),
          .width = x.size(3)};
}

#endif

}  // namespace

void quantise_frames_by_operators(const at::Tensor& x, const FrameCodes& codes) {
  const at::Tensor rest = (by_frame(x.to(at::kFloat), codes) - codes.means.to(at::kFloat).unsqueeze(2)).flatten(1, 2);
  codes.steps.copy_(at::amax(at::abs(rest), -1) * static_cast<float>(1 / kMostSteps));
  const at::Tensor steps = codes.steps.to(at::kFloat).unsqueeze(-1);
  const at::Tensor inverse = at::where(steps == 0, at::zeros_like(steps), 1 / steps);
  codes.codes.copy_(at::nan_to_num(at::round(rest * inverse)).clamp_(-kMostSteps, kMostSteps));
}

at::Tensor dequantise_frames_by_operators(const FrameCodes& codes) {
  const at::Tensor x = codes.codes.to(at::kFloat).mul_(codes.steps.to(at::kFloat).unsqueeze(-1));
  by_frame(x, codes).add_(codes.means.to(at::kFloat).unsqueeze(2));
  return x.to(codes.means.scalar_type());
}

void quantise_frames(const at::Tensor& x, const FrameCodes& codes) {
  FB_CHECK(x.sizes() == codes.codes.sizes() && x.scalar_type() == codes.means.scalar_type(), "x ", x.sizes(),
           ", codes ", codes.codes.sizes());
  codes.means.copy_(by_frame(x, codes).mean(2, /*keepdim=*/false, at::kFloat));
#ifdef FLASHBLOCK_CUDA
  if (kernel_takes(x, codes)) return launch(launch_quantise_frames, arguments_of(x, codes), x, "quantise_frames");
#endif
  quantise_frames_by_operators(x, codes);
}

at::Tensor dequantise_frames(const FrameCodes& codes) {
#ifdef FLASHBLOCK_CUDA
  if (kernel_takes(codes.codes, codes)) {
    const at::Tensor x = at::empty(codes.codes.sizes(), codes.means.options());
    launch(launch_dequantise_frames, arguments_of(x, codes), x, "dequantise_frames");
    return x;
  }
#endif
  return dequantise_frames_by_operators(codes);
}

QuantisedFrames::QuantisedFrames(int64_t frames, int64_t tokens_per_frame, const at::TensorOptions& options,
                                 int64_t batch, int64_t heads, int64_t head_dim)
    : tokens_per_frame_(tokens_per_frame) {
  const int64_t tokens = frames * tokens_per_frame;
  for (FrameCodes* codes : {&keys_, &values_})
    *codes = {.codes = at::empty({batch, tokens, heads, head_dim}, options.dtype(at::kChar)),
              .steps = at::empty({batch, tokens, heads}, options),
              .means = at::empty({batch, frames, heads, head_dim}, options)};
}

FrameCodes QuantisedFrames::part(const FrameCodes& all, int64_t first, int64_t frames) const {
  const int64_t token = first * tokens_per_frame_, tokens = frames * tokens_per_frame_;
  return {all.codes.narrow(1, token, tokens), all.steps.narrow(1, token, tokens), all.means.narrow(1, first, frames)};
}

void QuantisedFrames::store(int64_t first, const KeyRange& frames) {
  store_keys(first, frames.keys);
  quantise_frames(frames.values, part(values_, first, frames.tokens() / tokens_per_frame_));
}

void QuantisedFrames::store_keys(int64_t first, const at::Tensor& keys) {
  quantise_frames(keys, part(keys_, first, keys.size(1) / tokens_per_frame_));
}

KeyRange QuantisedFrames::load(int64_t first, int64_t frames) const {
  return {dequantise_frames(part(keys_, first, frames)), dequantise_frames(part(values_, first, frames))};
}

}  // namespace flashblock
