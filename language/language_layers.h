// The operators of a language model's layer.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/rope.h"
#include "language/language_weights.h"

namespace flashblock {

/// x weight^T. Shape: x [..., in], weight [out, in].
at::Tensor project(const at::Tensor& x, const at::Tensor& weight);

/// All projections of x, one after the other: [..., sum of their rows].
at::Tensor project(const at::Tensor& x, const Projections& weights);

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension. Numerics: fp32 inside, the weight included; one
/// rounding. Source: flash-attn's RMS norm, which the published model calls.
at::Tensor text_rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// silu(gate) * up, of [..., 2 * F], gate first. Numerics: rounds after silu and after the product, as published.
at::Tensor swiglu(const at::Tensor& gate_up);

/// The heads of a projection, normed and rotated. Shape: x [B, L, heads * D]; returns [B, L, heads, D].
at::Tensor rotated_keys(const at::Tensor& x, const at::Tensor& norm, double eps, const Rotation& rotation);

/// The same for queries, as rows of `kv_heads` heads (group_queries): [B, L * heads / kv_heads, kv_heads, D].
at::Tensor rotated_queries(const at::Tensor& x, const at::Tensor& norm, double eps, const Rotation& rotation,
                           int64_t kv_heads);

}  // namespace flashblock
