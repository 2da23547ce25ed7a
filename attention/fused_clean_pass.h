// The clean pass of a finished block and the first pass of the next one in a single call, which reads weights and past
// once for both.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "attention/attention_config.h"
#include "attention/block_attention.h"
#include "attention/external_cache.h"
#include "attention/kv_cache.h"

namespace flashblock {

/// How the rows and the staged tokens of a fused call divide into the two blocks; the next block comes first in both.
struct FusedBlocks {
  int64_t next_rows = 0;        ///< of the next block; the finished block has the others
  int64_t finished_tokens = 0;  ///< staged tokens of the finished block, the last ones; the next block has the others
  Pass clean = Pass::clean();   ///< the pass over the finished block
};

/// What a fused call computes.
struct FusedAttention {
  at::Tensor output;  ///< [B, R, N, D], the next block's rows first
  /// External attention of the next block: over the past and the finished block. To be stored in the layer's cache once
  /// the finished block is committed (KvCache::commit_end). None in exact mode.
  std::optional<CachedExternal> next;
  bool refreshed = true;  ///< whether the clean pass computed the external attention of all heads
};

/// Attention of both blocks: rows of the finished block attend to the past and their block, rows of the next block to
/// the past, the finished block and their own. Equal to the clean pass followed by the first pass, up to rounding
/// (sparse attention: the finished block's keys are selected whole). Where `config` refreshes the clean pass, as exact
/// mode always does, attention to the past is one call for the rows of both; else the finished block's rows reuse
/// external.cache as config.refresh says. Counts two passes in external.work; external.observer is not called.
/// Shape: q [B, R, N, D]. With R = next_rows the finished block has keys and values only, as in a model's last layer.
FusedAttention fused_clean_attention(const at::Tensor& q, const FusedBlocks& blocks, const KvCache& kv,
                                     LayerExternal& external, const AttentionConfig& config);

}  // namespace flashblock
