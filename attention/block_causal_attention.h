// Attention of several whole blocks of text at once: the prefill of a prompt.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "attention/kv_cache.h"

namespace flashblock {

/// Attention of the staged tokens, `block_tokens` to a block: each block attends to the past, to the blocks staged
/// before it and to itself. Exact: attention to the past, merged with attention to the staged tokens under their mask.
/// Shape: q [B, R, N, D], R a multiple g of the staged tokens, rows l * g to l * g + g - 1 being those of token l
/// (group_queries); the staged tokens in the order of their positions; returns [B, R, N, D].
/// Numerics: scores, softmax and sums of the staged tokens in fp32.
at::Tensor block_causal_attention(const at::Tensor& q, const KvCache& kv, int64_t block_tokens);

}  // namespace flashblock
