#include "attention/fused_clean_pass.h"

#include <ATen/Functions.h>

#include <utility>

#include "attention/attention.h"
#include "attention/external_attention.h"
#include "attention/refresh_policy.h"

namespace flashblock {
namespace {

const Pass kFirst = Pass::denoise(0);

AttentionState rows_of(const AttentionState& state, int64_t first, int64_t count) {
  return {state.output.narrow(1, first, count).contiguous(), state.lse.narrow(2, first, count).contiguous()};
}

AttentionState over(const at::Tensor& q, const KeyRange& keys) {
  return keys.empty() ? AttentionState() : attention_with_lse(q, keys.keys, keys.values);
}

// Whether the cached state is of some of the keys only.
bool is_sparse(const AttentionConfig& config) {
  return config.mode == AttentionConfig::Mode::kFlashblock && config.density > 0;
}

// External attention of the next block: over `behind`, the past and the finished block. With sparse attention the
// finished block is selected whole, as the keys after the last whole run always are.
CachedExternal external_of_next(const ExternalPass& pass, const KeyRange& finished, const KeyRange& behind) {
  ExternalPass all = pass;
  all.past = behind;
  if (!is_sparse(pass.config) || pass.past.empty()) return compute_external(all);
  CachedExternal cached = compute_external(pass);
  const KeyRange& selected = cached.selected;
  cached.selected = selected.keys.defined() ? KeyRange{at::cat({selected.keys, finished.keys}, 1),
                                                       at::cat({selected.values, finished.values}, 1)}
                                            : finished;
  return cached;
}

}  // namespace

FusedAttention fused_clean_attention(const at::Tensor& q, const FusedBlocks& blocks, const KvCache& kv,
                                     LayerExternal& external, const AttentionConfig& config) {
  const int64_t finished_rows = q.size(1) - blocks.next_rows;
  const int64_t next_tokens = kv.block().tokens() - blocks.finished_tokens;
  const KeyRange past = kv.past(), finished = kv.block_end(blocks.finished_tokens), all = kv.all();
  const int64_t behind_tokens = all.tokens() - next_tokens;  // the finished block lies directly before the past
  const KeyRange behind{all.keys.narrow(1, next_tokens, behind_tokens),
                        all.values.narrow(1, next_tokens, behind_tokens)};
  const bool exact = config.mode == AttentionConfig::Mode::kExact;
  if (exact && q.is_cuda()) {  // one call, without states that would have to be merged
    for (int64_t pass = finished_rows > 0 && !past.empty() ? 0 : 1; pass < 2; ++pass)
      external.work.count(HeadSelection::all(), q.size(2));
    return {attention_with_hidden_keys(q, all.keys, all.values, {blocks.next_rows, next_tokens}), {}};
  }
  const at::Tensor q_next = q.narrow(1, 0, blocks.next_rows), q_clean = q.narrow(1, blocks.next_rows, finished_rows);
  const bool refreshed =
      exact || external.cache.empty() || config.refresh->refreshes(config, blocks.clean, external.cache.age());
  const ExternalPass first = external_pass(q_next, past, kv, external, config, kFirst);

  AttentionState of_next;
  at::Tensor clean_output;
  if (finished_rows > 0 && refreshed && !is_sparse(config)) {
    // Refreshed, the finished block attends to what is behind the next one: one read for the rows of both.
    const AttentionState both = over(q, behind);
    of_next = rows_of(both, 0, blocks.next_rows);
    clean_output = both.output.narrow(1, blocks.next_rows, finished_rows);
    if (!past.empty()) external.work.count(HeadSelection::all(), q.size(2));
  } else if (finished_rows > 0) {
    AttentionState internal = over(q_clean, finished), of_past;
    if (!past.empty()) {
      refresh_external(external, external_pass(q_clean, past, kv, external, config, blocks.clean), internal);
      of_past = reused_external(q_clean, external.cache.state());
    }
    clean_output = merge(of_past, std::move(internal)).output;
  }

  CachedExternal cached;
  if (exact)
    cached.state = of_next.empty() ? over(q_next, behind) : of_next;
  else
    cached = of_next.empty() || wants_mean_key(first) ? external_of_next(first, finished, behind)
                                                      : CachedExternal{.state = of_next};
  external.work.count(HeadSelection::all(), q.size(2));
  const KeyRange next = kv.block_begin(next_tokens);
  const at::Tensor next_output = merged_attention(reused_external(q_next, cached), q_next, next.keys, next.values);
  FusedAttention result{finished_rows > 0 ? at::cat({next_output, clean_output}, 1) : next_output, {}};
  result.refreshed = refreshed;
  if (!exact) result.next = std::move(cached);
  return result;
}

}  // namespace flashblock
