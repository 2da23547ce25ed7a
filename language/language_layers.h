// The operators of a language model's layer. On a GPU in bfloat16 each is one kernel; elsewhere LibTorch's operators.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "attention/kv_cache.h"
#include "attention/rope.h"
#include "language/language_weights.h"

namespace flashblock {

// An operator with a parameter `reused` may put its result into that tensor, if it has the right shape, and else leaves
// its result there. So the layers of a pass, one after the other, need not allocate.

/// Rows of a table, by number. Shape: table [N, width]; returns [rows, width].
at::Tensor select_rows(const at::Tensor& table, const std::vector<int64_t>& rows);

// Products of at most 16 rows are bound by reading the weight: on a GPU in bfloat16 our own kernel computes them
// (kernels/few_row_product), others LibTorch.

/// x weight^T. Shape: x [..., in], weight [out, in].
at::Tensor project(const at::Tensor& x, const at::Tensor& weight, at::Tensor* reused = nullptr);

/// All projections of x, one after the other: [..., sum of their rows].
at::Tensor project(const at::Tensor& x, const Projections& weights, at::Tensor* reused = nullptr);

/// project of attention outputs. Shape: attended [B, L * group, K, D], grouped (group_queries); returns [B, L, out].
at::Tensor project_heads(const at::Tensor& attended, const at::Tensor& weight, int64_t group,
                         at::Tensor* reused = nullptr);

/// swiglu of both projections of x, gate first.
at::Tensor project_swiglu(const at::Tensor& x, const Projections& gate_up, at::Tensor* reused = nullptr);

/// What a layer adds to its input. Default-constructed: nothing.
struct Update {
  at::Tensor rounded;  ///< [..., width]
  at::Tensor sums;     ///< else [slices, ..., width] fp32, whose sum, rounded, is the update
};

/// project, for add_text_norm: of a long inner dimension sums over its slices.
Update project_update(const at::Tensor& x, const at::Tensor& weight, at::Tensor* reused = nullptr);

/// A sum, and its norm.
struct NormedSum {
  at::Tensor sum, normed;
};

/// x + update, rounded, and text_rms_norm of it.
NormedSum add_text_norm(const at::Tensor& x, const Update& update, const at::Tensor& weight, double eps,
                        NormedSum* reused = nullptr);

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension. Numerics: fp32 inside, the weight included; one
/// rounding. Source: flash-attn's RMS norm, which the published model calls.
at::Tensor text_rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// silu(gate) * up, of [..., 2 * F], gate first. Numerics: rounds after silu and after the product, as published.
at::Tensor swiglu(const at::Tensor& gate_up);

/// Norms and rotation of the heads of a projection.
struct HeadNorms {
  const at::Tensor& q_norm;  ///< [D]
  const at::Tensor& k_norm;  ///< [D]
  double eps;
  const Rotation& rotation;  ///< of all tokens
};

/// Splits a projection into heads: keys, normed and rotated, and values are written to `staged`; returns the queries of
/// the first `attending` tokens, normed, rotated and as rows of the heads of `staged` (group_queries); none for 0.
/// Shape: projected [B, L, (N + 2 K) * D], staged [B, L, K, D]; returns [B, attending * N / K, K, D].
at::Tensor stage_heads(const at::Tensor& projected, const HeadNorms& norms, int64_t attending, const KeyRange& staged);

}  // namespace flashblock
