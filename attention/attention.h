// Dense softmax attention, with its log-sum-exp on request.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/attention_state.h"

namespace flashblock {

/// softmax(q k^T / sqrt(D)) v.
/// Shape: q [B, L, N, D], k and v [B, S, N, D], S > 0, the last dimension contiguous; returns [B, L, N, D].
/// Numerics: fp32 scores, softmax and accumulation; the output has the dtype of the inputs.
/// Runs the fastest kernel for the device: flash attention on the CPU; on GPUs, for 16-bit types, cuDNN at compute
/// capability 9 and flash attention at others, and memory-efficient attention for fp32.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// The same, and the log-sum-exp of the scaled scores.
AttentionState attention_with_lse(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// merge(external, attention_with_lse(q, k, v)).output; for few queries on a GPU, in 16 bits, in one pass. `external`
/// may be empty.
at::Tensor merged_attention(const AttentionState& external, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v);

/// Whether merged_attention has a kernel for these: few queries on a GPU, in bfloat16.
bool merges_in_one_pass(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// Queries that do not attend to the first keys.
struct HiddenKeys {
  int64_t first_query = 0;  ///< this one and those after it
  int64_t keys = 0;         ///< fewer than all
};

/// attention where `hidden` are left out. Reads keys once for few queries on a GPU, in 16 bits; else twice.
at::Tensor attention_with_hidden_keys(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                      const HiddenKeys& hidden);

/// The same as attention_with_lse for the heads for which `mask`, [N] bool on q's device, is true; the result of the
/// other heads is unspecified. Does not synchronize. In 16 bits on a GPU the tiles of unselected heads end at once;
/// elsewhere they are computed.
AttentionState attention_of_masked_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                         const at::Tensor& mask);

/// The reference implementation that the fast kernels are tested against: attention and its log-sum-exp by matrix
/// products and a softmax, in fp64 for fp64 inputs, else in fp32.
AttentionState attention_by_matrix_products(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

}  // namespace flashblock
