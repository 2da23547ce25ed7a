#include "attention/block_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/record_function.h>

#include <utility>

#include "attention/attention.h"
#include "attention/external_attention.h"
#include "core/work_scopes.h"

namespace flashblock {
namespace {

AttentionState internal_attention(const at::Tensor& q, const KeyRange& block) {
  RECORD_USER_SCOPE(kInternalScope);
  return attention_with_lse(q, block.keys, block.values);
}

struct Refreshed {
  bool any = false;
  at::Tensor heads;  // [N] bool; undefined: all or none
};

/// Computes anew what the policy asks for.
Refreshed refresh(const at::Tensor& q, const KeyRange& past, const AttentionState& internal,
                  BlockExternalCache& external, const AttentionConfig& config, const Pass& pass) {
  const int64_t heads = q.size(2);
  if (!external.holds_state() || refreshes(config, pass, external.age())) {
    external.keep(compute_external(q, past, config, pass));
    external.count(heads, 0);
    return {.any = true};
  }
  if (config.refresh != RefreshPolicy::kErrorBound) {
    external.count(0, heads);
    return {};
  }
  const at::Tensor moved = weighted_move(q, external.kept(), internal) > config.bound;
  const at::Tensor chosen = moved.nonzero().flatten();  // on a GPU the host waits here, once a layer and pass
  if (chosen.numel() > 0) refresh_heads(external.kept(), chosen, q, past, config, pass);
  external.count(chosen.numel(), heads - chosen.numel());
  return {.any = chosen.numel() > 0, .heads = moved};
}

}  // namespace

at::Tensor block_attention(const at::Tensor& q, const KvCache& kv, BlockExternalCache& external,
                           const AttentionConfig& config, const Pass& pass) {
  const KeyRange past = kv.past();
  if (past.empty() || config.mode == AttentionConfig::Mode::kExact) {
    if (!past.empty()) external.count(q.size(2), 0);
    const KeyRange all = kv.all();
    RECORD_USER_SCOPE(kWholeScope);
    return attention(q, all.keys, all.values);
  }
  AttentionState inside = internal_attention(q, kv.block());
  RECORD_USER_SCOPE(kExternalScope);
  const Refreshed refreshed = refresh(q, past, inside, external, config, pass);
  const AttentionState outside = reused_external(q, external.kept());
  external.show({.pass = pass,
                 .query = q,
                 .kv = kv,
                 .external = outside,
                 .internal = inside,
                 .computed = refreshed.any,
                 .computed_heads = refreshed.heads});
  return merge(outside, std::move(inside)).output;
}

}  // namespace flashblock
