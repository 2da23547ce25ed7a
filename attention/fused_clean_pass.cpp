#include "attention/fused_clean_pass.h"

#include <ATen/Functions.h>

#include <utility>

#include "attention/attention.h"
#include "attention/external_attention.h"
#include "attention/refresh_policy.h"
#include "core/check.h"

namespace flashblock {
namespace {

const Pass kFirst = Pass::denoise(0);

AttentionState rows_of(const AttentionState& state, int64_t first, int64_t count) {
  return {state.output.narrow(1, first, count).contiguous(), state.lse.narrow(2, first, count).contiguous()};
}

AttentionState over(const at::Tensor& q, const KeyRange& keys) {
  return keys.empty() ? AttentionState() : attention_with_lse(q, keys.keys, keys.values);
}

// Attention over the past, and over the finished block besides.
CachedExternal joined(CachedExternal past, const at::Tensor& q, const KeyRange& finished,
                      const AttentionConfig& config) {
  if (config.density > 0) {  // the keys after the last whole run are always selected
    const KeyRange& selected = past.selected;
    past.selected = selected.keys.defined() ? KeyRange{at::cat({selected.keys, finished.keys}, 1),
                                                       at::cat({selected.values, finished.values}, 1)}
                                            : finished;
    return past;
  }
  AttentionState also = attention_with_lse(q, finished.keys, finished.values);
  if (past.mean_key.defined()) {  // a mean under the weights of attention, as the output is
    FB_CHECK(past.mean_key.size(1) == q.size(1), "the fused pass needs a mean key for each query");
    past.mean_key =
        merge({past.mean_key, past.state.lse}, {attention(q, finished.keys, finished.keys), also.lse.clone()}).output;
  }
  past.state = merge(past.state, std::move(also));
  return past;
}

// External attention of the next block. `known` is its attention over the past, if that is known already.
CachedExternal external_of_next(const AttentionState& known, const KeyRange& finished, const ExternalPass& pass) {
  if (pass.past.empty()) {
    ExternalPass first = pass;
    first.past = finished;
    return compute_external(first);
  }
  const bool enough = !known.empty() && !wants_mean_key(pass);
  return joined(enough ? CachedExternal{.state = known} : compute_external(pass), pass.q, finished, pass.config);
}

}  // namespace

FusedAttention fused_clean_attention(const at::Tensor& q, const FusedBlocks& blocks, const KvCache& kv,
                                     LayerExternal& external, const AttentionConfig& config) {
  const int64_t finished_rows = q.size(1) - blocks.next_rows;
  const KeyRange past = kv.past(), finished = kv.block_end(blocks.finished_tokens);
  const KeyRange next = kv.block_begin(kv.block().tokens() - blocks.finished_tokens);
  const bool exact = config.mode == AttentionConfig::Mode::kExact;
  const at::Tensor q_next = q.narrow(1, 0, blocks.next_rows), q_clean = q.narrow(1, blocks.next_rows, finished_rows);
  const bool refreshed =
      exact || external.cache.empty() || config.refresh->refreshes(config, blocks.clean, external.cache.age());

  AttentionState past_of_next, past_of_clean;
  if (finished_rows > 0 && !past.empty()) {
    if (refreshed && config.density == 0) {  // one read of the past
      const AttentionState both = over(q, past);
      past_of_next = rows_of(both, 0, blocks.next_rows);
      past_of_clean = rows_of(both, blocks.next_rows, finished_rows);
      external.work.count(HeadSelection::all(), q.size(2));
    } else {
      const AttentionState internal = over(q_clean, finished);
      refresh_external(external, external_pass(q_clean, past, kv, external, config, blocks.clean), internal);
      past_of_clean = reused_external(q_clean, external.cache.state());
    }
  }
  at::Tensor clean_output;
  if (finished_rows > 0) clean_output = merge(past_of_clean, over(q_clean, finished)).output;

  CachedExternal cached;
  if (exact) {
    if (past_of_next.empty()) past_of_next = over(q_next, past);
    cached.state = merge(past_of_next, over(q_next, finished));
  } else {
    cached = external_of_next(past_of_next, finished, external_pass(q_next, past, kv, external, config, kFirst));
  }
  external.work.count(HeadSelection::all(), q.size(2));
  const at::Tensor next_output = merge(reused_external(q_next, cached), over(q_next, next)).output;
  FusedAttention result{finished_rows > 0 ? at::cat({next_output, clean_output}, 1) : next_output, {}};
  result.refreshed = refreshed;
  if (!exact) result.next = std::move(cached);
  return result;
}

}  // namespace flashblock
