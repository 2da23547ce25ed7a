// Attention with 8-bit products: scores from 8-bit integers, outputs from e4m3 numbers. docs/numerics.md has the
// arithmetic and its errors.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/attention_config.h"
#include "attention/attention_state.h"

namespace flashblock {

/// attention_with_lse in 8 bits. The shapes are its shapes.
/// Numerics: per head, the mean of (a sample of) the keys is subtracted from all keys, and that of the values from all
/// values; both are added back exactly. Queries are rounded to int8 by row, keys by blocks of kInt8KeyBlock, values to
/// e4m3 by channel. Scores are exact sums of products, softmax is fp32, weights are rounded to e4m3, the output once.
/// The same inputs give the same bits on GPUs of one kind.
/// Compute capability 9.0 with bfloat16 and heads of width 128 has a kernel; everything else goes through LibTorch:
/// correct, slower than attention in the dtype.
AttentionState int8_attention_with_lse(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// attention_with_lse in one precision or the other.
AttentionState attention_with_lse(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  AttentionPrecision precision);

/// Whether int8_attention_with_lse is fast for a dtype and head width on a device.
bool has_int8_attention(at::Device device, at::ScalarType dtype, int64_t head_width);

inline constexpr int64_t kInt8KeyBlock = 96;  ///< keys that share a scale

/// int8_attention_with_lse by LibTorch's operators: the fallback, and the reference implementation that the kernel is
/// tested against.
AttentionState int8_attention_by_operators(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

}  // namespace flashblock
