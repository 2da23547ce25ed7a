#include "attention/int8_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "attention/attention.h"
#include "attention/vector_rows.h"
#include "core/check.h"
#include "core/work_scopes.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#include "attention/kernels/capability.h"
#include "attention/kernels/hopper_attention.h"
#endif

namespace flashblock {
namespace {

constexpr int64_t kSamples = 1024;                   // keys that a mean is taken over, at most
constexpr int64_t kScoresAtOnce = int64_t{1} << 24;  // of a head
constexpr double kLargestE4m3 = 448, kLog2E = 1.4426950408889634, kLn2 = 0.6931471805599453;

void check_inputs(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  FB_CHECK(q.dim() == 4 && k.dim() == 4 && k.sizes() == v.sizes() && q.size(0) == k.size(0) && q.size(2) == k.size(2) &&
               q.size(3) == k.size(3) && k.size(1) > 0,
           "q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes());
}

/// Evenly spaced tokens, all of them up to kSamples. Shape: x [B, S, N, D]; returns fp32.
at::Tensor sample_of(const at::Tensor& x) {
  const int64_t count = std::min(x.size(1), kSamples);
  const at::Tensor index = at::arange(count, x.options().dtype(at::kLong)).mul(x.size(1)).floor_divide(count);
  return x.index_select(1, index).to(at::kFloat);
}

/// Numbers and what they are to be multiplied by: x = values * scales.
struct Scaled {
  at::Tensor values, scales;
};

/// Whole numbers as fp32. Shape: largest broadcasts to x.
Scaled to_int8(const at::Tensor& x, const at::Tensor& largest) {
  const at::Tensor inverse = at::where(largest == 0, at::zeros_like(largest), at::full_like(largest, 127) / largest);
  return {at::round(x * inverse), largest * (1.0f / 127.0f)};
}

at::Tensor to_e4m3(const at::Tensor& x) {
  return x.clamp(-kLargestE4m3, kLargestE4m3).to(at::kFloat8_e4m3fn).to(at::kFloat);
}

Scaled quantised_keys(const at::Tensor& centred) {
  const int64_t keys = centred.size(1), blocks = (keys + kInt8KeyBlock - 1) / kInt8KeyBlock;
  const at::Tensor padded = at::constant_pad_nd(centred, {0, 0, 0, 0, 0, blocks * kInt8KeyBlock - keys});
  const at::Tensor by_block = padded.unflatten(1, {blocks, kInt8KeyBlock});  // [B, blocks, block, N, D]
  Scaled keys8 = to_int8(by_block, at::amax(at::abs(by_block), {2, 4}, /*keepdim=*/true));
  keys8.values = keys8.values.flatten(1, 2).narrow(1, 0, keys);
  keys8.scales = keys8.scales.expand({-1, -1, kInt8KeyBlock, -1, 1}).flatten(1, 2).narrow(1, 0, keys);
  return keys8;
}

/// By a power of two for each channel that brings its root mean square to 8 to 16: most is far from both ends of e4m3.
Scaled quantised_values(const at::Tensor& v, const at::Tensor& sample, const at::Tensor& mean) {
  const at::Tensor square = (sample * sample).mean(1, true) - mean * mean;
  const at::Tensor rms = at::maximum(at::sqrt(at::clamp_min(square, 0)), at::abs(mean) * (1.0f / 256));
  const at::Tensor exponent = 3 - at::floor(at::log2(rms));
  const at::Tensor usual = at::abs(exponent) <= 100;
  const at::Tensor scale = at::where(usual, at::exp2(at::where(usual, exponent, at::zeros_like(exponent))), 1.0);
  return {to_e4m3((v.to(at::kFloat) - mean) * scale), 1 / scale};
}

#ifdef FLASHBLOCK_CUDA

bool kernel_takes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  constexpr int64_t kMostHeads = 1 << 15, kMostTokens = int64_t{1} << 30;
  const int64_t heads = q.size(0) * q.size(2);
  return has_int8_attention(q.device(), q.scalar_type(), q.size(3)) && heads < kMostHeads &&
         heads * std::max(q.size(1), k.size(1)) < kMostTokens && has_vector_rows(q) && has_vector_rows(k) &&
         has_vector_rows(v);
}

AttentionState by_kernel(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  AttentionState state{at::empty(q.sizes(), q.options()),
                       at::empty({q.size(0), q.size(2), q.size(1)}, q.options().dtype(at::kFloat))};
  const auto strides = [](const at::Tensor& x) { return Int8AttentionStrides{x.stride(0), x.stride(1), x.stride(2)}; };
  Int8AttentionArguments call{.q = q.const_data_ptr(),
                              .k = k.const_data_ptr(),
                              .v = v.const_data_ptr(),
                              .q_strides = strides(q),
                              .k_strides = strides(k),
                              .v_strides = strides(v),
                              .out = state.output.data_ptr(),
                              .lse = state.lse.data_ptr<float>(),
                              .workspace = nullptr,
                              .batch = q.size(0),
                              .heads = q.size(2),
                              .queries = q.size(1),
                              .keys = k.size(1),
                              .multiprocessors = multiprocessor_count(q.device().index())};
  const at::Tensor workspace = at::empty({int8_attention_workspace(call)}, q.options().dtype(at::kByte));
  call.workspace = workspace.data_ptr();
  launch(launch_int8_attention, call, q, "int8_attention");
  return state;
}

#endif

}  // namespace

AttentionState int8_attention_by_operators(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  check_inputs(q, k, v);
  const at::Tensor k_sample = sample_of(k), v_sample = sample_of(v);
  const at::Tensor k_mean = k_sample.mean(1, true), v_mean = v_sample.mean(1, true);  // [B, 1, N, D]
  const double root = 1 / std::sqrt(double(q.size(3)));
  const at::Tensor wide = q.to(at::kFloat);
  const Scaled q8 = to_int8(wide, at::amax(at::abs(wide), -1, /*keepdim=*/true));
  const Scaled k8 = quantised_keys(k.to(at::kFloat) - k_mean);
  const Scaled v8 = quantised_values(v, v_sample, v_mean);
  const at::Tensor shift = (wide * k_mean).sum(-1) * root;  // [B, L, N]

  const auto by_head = [](const at::Tensor& x) { return x.transpose(1, 2); };  // [B, N, tokens, D]
  const at::Tensor keys = by_head(k8.values).transpose(2, 3), values = by_head(v8.values);
  const at::Tensor key_scales = by_head(k8.scales).transpose(2, 3), value_scales = by_head(v8.scales);
  const at::Tensor q_scales = q8.scales * (root * kLog2E);
  AttentionState state{at::empty(q.sizes(), q.options()),
                       at::empty({q.size(0), q.size(2), q.size(1)}, q.options().dtype(at::kFloat))};
  const int64_t at_once = std::max<int64_t>(1, kScoresAtOnce / k.size(1));
  for (int64_t first = 0; first < q.size(1); first += at_once) {
    const int64_t count = std::min(at_once, q.size(1) - first);
    const auto rows = [&](const at::Tensor& x) { return by_head(x.narrow(1, first, count)); };
    // Sums of 2^10 products of 8-bit integers are exact in fp32.
    const at::Tensor scores = at::matmul(rows(q8.values), keys) * (rows(q_scales) * key_scales);
    // A whole number, so that weights are rounded alike wherever it is, but for the smallest.
    const at::Tensor base = at::ceil(at::amax(scores, -1, /*keepdim=*/true)) - 5;
    const at::Tensor weights = at::exp2(scores - base), sum = weights.sum(-1, true);
    const at::Tensor output = at::matmul(to_e4m3(weights), values) / sum * value_scales + by_head(v_mean);
    state.output.narrow(1, first, count).copy_(output.transpose(1, 2));
    state.lse.narrow(2, first, count).copy_(((base + at::log2(sum)) * kLn2).squeeze(-1) + rows(shift));
  }
  return state;
}

bool has_int8_attention(at::Device device, at::ScalarType dtype, int64_t head_width) {
#ifdef FLASHBLOCK_CUDA
  return device.is_cuda() && dtype == at::kBFloat16 && head_width == kInt8AttentionWidth &&
         compute_capability_major(device.index()) == 9;
#else
  static_cast<void>(device), static_cast<void>(dtype), static_cast<void>(head_width);
  return false;
#endif
}

AttentionState int8_attention_with_lse(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  RECORD_USER_SCOPE(kAttentionScope);
  check_inputs(q, k, v);
#ifdef FLASHBLOCK_CUDA
  if (kernel_takes(q, k, v)) return by_kernel(q, k, v);
#endif
  return int8_attention_by_operators(q, k, v);
}

AttentionState attention_with_lse(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  AttentionPrecision precision) {
  return precision == AttentionPrecision::kInt8 ? int8_attention_with_lse(q, k, v) : attention_with_lse(q, k, v);
}

}  // namespace flashblock
