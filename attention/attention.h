// Softmax attention, with the log-sum-exp where it is wanted. Dense: every query sees every key.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/attention_state.h"

namespace flashblock {

/// softmax(q k^T / sqrt(D)) v.
/// Shape: q [B, L, N, D], k and v [B, S, N, D], S > 0, the last dimension contiguous; returns [B, L, N, D].
/// Numerics: fp32 scores, softmax and accumulation; the output has the dtype of the inputs.
/// Fastest kernel of the device: flash attention on the CPU; cuDNN on GPUs of capability 9.0 and up, flash attention on
/// others, for 16-bit types; memory-efficient attention for fp32 on GPUs.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// The same, with the log-sum-exp of the scaled scores.
AttentionState attention_with_lse(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// The same of the heads for which `chosen`, [N] bool on q's device, is true; what the other heads get is anything.
/// The device is not waited for: in 16 bits on a GPU the tiles of other heads end at once, elsewhere they are computed.
AttentionState attention_of_chosen_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                         const at::Tensor& chosen);

/// Attention with its log-sum-exp by matrix products and a softmax, in the given dtype's widest form (fp64 for fp64,
/// else fp32): the slow twin that the fast kernels are tested against.
AttentionState attention_by_matrix_products(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

}  // namespace flashblock
