#include "attention/block_attention.h"

#include <utility>

#include "attention/attention.h"

namespace flashblock {

at::Tensor block_attention(const at::Tensor& q, const KvCache& kv, BlockExternalCache& external,
                           const AttentionConfig& config, const Pass& pass) {
  const KeyRange past = kv.past();
  if (past.empty() || config.mode == AttentionConfig::Mode::kExact) {
    if (!past.empty()) external.count_computed();
    const KeyRange all = kv.all();
    return attention(q, all.keys, all.values);
  }
  const bool reuse = external.holds_state() && !refreshes(config.refresh, pass);
  const AttentionState& outside =
      reuse ? external.reuse() : external.keep(attention_with_lse(q, past.keys, past.values));
  const KeyRange block = kv.block();
  AttentionState inside = attention_with_lse(q, block.keys, block.values);
  external.show({.pass = pass, .query = q, .kv = kv, .external = outside, .internal = inside, .computed = !reuse});
  return merge(outside, std::move(inside)).output;
}

}  // namespace flashblock
