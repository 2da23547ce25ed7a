// Attention of the queries of a frame block over itself and the blocks before it.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/attention_config.h"
#include "attention/block_external_cache.h"
#include "attention/kv_cache.h"

namespace flashblock {

/// Attention of q over all keys of `kv`, whose current block is staged and written.
///
/// Exact mode is one softmax over all keys. Flashblock mode merges the internal attention of this pass with the
/// external attention, which `external` supplies unless the policy wants it anew. Where there is nothing before the
/// block, both are the same call, hence equal bit for bit. Shape: q [B, L, N, D]; returns [B, L, N, D]. Source: arXiv
/// 2602.05305, section 3.
at::Tensor block_attention(const at::Tensor& q, const KvCache& kv, BlockExternalCache& external,
                           const AttentionConfig& config, const Pass& pass);

/// The external part of it, as `config` wants it in this pass; `internal` is the other part. Requires: flashblock mode,
/// keys before the block. Of a pass over a block that `external` holds nothing of, all is computed.
AttentionState external_attention(const at::Tensor& q, const KvCache& kv, const AttentionState& internal,
                                  BlockExternalCache& external, const AttentionConfig& config, const Pass& pass);

}  // namespace flashblock
