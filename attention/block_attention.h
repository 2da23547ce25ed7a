// Attention of the queries of a frame block to the block itself and to earlier frame blocks.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/attention_config.h"
#include "attention/attention_observer.h"
#include "attention/external_attention.h"
#include "attention/external_cache.h"
#include "attention/external_work.h"
#include "attention/kv_cache.h"

namespace flashblock {

/// External attention of one layer, from pass to pass of a video.
struct LayerExternal {
  int64_t layer = 0;                      ///< number of the layer, for policies and observers
  ExternalCache cache;                    ///< cleared by the owner at each commit
  ExternalWork work;                      ///< since the owner last reset it
  HeadShare share = {};                   ///< which of the layer's heads these are
  AttentionObserver* observer = nullptr;  ///< sees every attention of flashblock mode, if there is one
  bool mean_key_per_query = false;        ///< of text: no two queries are alike; of video: see kMeanKeyStep
  /// [R] int64 on the device of the queries: rows whose queries have changed more than their neighbors' since the state
  /// was cached, to be recomputed where it is reused. Undefined: none.
  at::Tensor changed_rows = {};
};

/// Attention of q to all keys of `kv`, whose current block is staged and written: one softmax over all keys in exact
/// mode, flashblock_attention in flashblock mode. Where there are no external keys both modes are the same call, hence
/// equal bit for bit. Shape: q [B, L, N, D]; returns [B, L, N, D].
at::Tensor block_attention(const at::Tensor& q, const KvCache& kv, LayerExternal& external,
                           const AttentionConfig& config, const Pass& pass);

/// FlashBlock: internal attention is computed, external attention is cached and refreshed by `config.refresh`, and both
/// are merged. Requires: external keys. Shape: q [B, L, N, D]; returns [B, L, N, D].
/// Source: arXiv 2602.05305, section 3.
at::Tensor flashblock_attention(const at::Tensor& q, const KvCache& kv, LayerExternal& external,
                                const AttentionConfig& config, const Pass& pass);

/// The parts of flashblock_attention that other combinations of the two sides are made of.

/// What external attention is computed from. Everything given must outlive the result.
ExternalPass external_pass(const at::Tensor& q, KeyParts past, const KvCache& kv, const LayerExternal& external,
                           const AttentionConfig& config, const Pass& pass);

/// Refreshes external.cache as the policy decides, or else its changed rows, and counts the work. Returns the heads
/// refreshed. `internal` is the internal attention of the same pass.
HeadSelection refresh_external(LayerExternal& external, const ExternalPass& pass, const AttentionState& internal);

}  // namespace flashblock
