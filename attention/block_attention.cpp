#include "attention/block_attention.h"

#include <ATen/record_function.h>

#include <utility>

#include "attention/attention.h"
#include "attention/external_attention.h"
#include "attention/int8_attention.h"
#include "attention/refresh_policy.h"
#include "core/work_scopes.h"

namespace flashblock {
namespace {

AttentionState internal_attention(const at::Tensor& q, const KeyRange& block, AttentionPrecision precision) {
  RECORD_USER_SCOPE(kInternalScope);
  return attention_with_lse(q, block.keys, block.values, precision);
}

}  // namespace

ExternalPass external_pass(const at::Tensor& q, KeyParts past, const KvCache& kv, const LayerExternal& external,
                           const AttentionConfig& config, const Pass& pass) {
  const bool each = external.mean_key_per_query;
  return {q,
          std::move(past),
          config,
          pass,
          each ? q.size(1) : kv.tokens_per_frame(),
          external.layer,
          each ? 1 : kMeanKeyStep,
          external.share};
}

HeadSelection refresh_external(LayerExternal& external, const ExternalPass& pass, const AttentionState& internal) {
  const HeadSelection refreshed = heads_to_refresh(external.cache, pass, internal);
  refresh(external.cache, refreshed, pass);
  external.work.count(refreshed, pass.q.size(2));
  if (refreshed.kind != HeadSelection::Kind::kAll && external.changed_rows.defined())
    refresh_rows(external.cache.state(), external.changed_rows, pass);
  return refreshed;
}

at::Tensor flashblock_attention(const at::Tensor& q, const KvCache& kv, LayerExternal& external,
                                const AttentionConfig& config, const Pass& pass) {
  // Internal attention (A_int, L_int). The block's own keys change with every denoising pass: computed in each; for few
  // queries together with the merge, unless the policy or an observer wants it by itself.
  const KeyRange block = kv.block();
  const bool by_itself = external.observer || config.refresh->decides_by_head() ||
                         config.internal != AttentionPrecision::kNative ||
                         !merges_in_one_pass(q, block.keys, block.values);
  AttentionState internal = by_itself ? internal_attention(q, block, config.internal) : AttentionState();

  // External attention (A_ext, L_ext). The keys of earlier blocks do not change while the block is denoised, and the
  // queries move little from pass to pass: computed in the first pass, cached, and refreshed by the policy.
  AttentionState cached;
  {
    RECORD_USER_SCOPE(kExternalScope);
    const HeadSelection refreshed =
        refresh_external(external, external_pass(q, KeyParts(kv), kv, external, config, pass), internal);
    cached = reused_external(q, external.cache.state());
    if (external.observer) {
      external.observer->observe({.layer = external.layer,
                                  .pass = pass,
                                  .query = q,
                                  .kv = kv,
                                  .external = cached,
                                  .internal = internal,
                                  .computed = refreshed.mask(q)});
    }
  }

  // The merge is exact: what reuse leaves out is how far the queries have moved since the refresh.
  if (by_itself) {
    RECORD_USER_SCOPE(kExternalScope);
    return merge(cached, std::move(internal)).output;
  }
  RECORD_USER_SCOPE(kInternalScope);
  return merged_attention(cached, q, block.keys, block.values);
}

at::Tensor block_attention(const at::Tensor& q, const KvCache& kv, LayerExternal& external,
                           const AttentionConfig& config, const Pass& pass) {
  const bool has_past = kv.past_frames() + kv.bank_count() > 0;
  if (has_past && config.mode == AttentionConfig::Mode::kFlashblock)
    return flashblock_attention(q, kv, external, config, pass);
  if (has_past) external.work.count(HeadSelection::all(), q.size(2));
  RECORD_USER_SCOPE(kWholeScope);
  if (has_past && !kv.is_native())
    return merge(attention_to_parts(q, KeyParts(kv)), attention_with_lse(q, kv.block().keys, kv.block().values)).output;
  const KeyRange all = kv.all();
  return attention(q, all.keys, all.values);
}

}  // namespace flashblock
