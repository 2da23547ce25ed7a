#include "attention/block_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/record_function.h>

#include <utility>

#include "attention/attention.h"
#include "attention/external_attention.h"
#include "attention/refresh_gate.h"
#include "core/work_scopes.h"

namespace flashblock {
namespace {

AttentionState internal_attention(const at::Tensor& q, const KeyRange& block) {
  RECORD_USER_SCOPE(kInternalScope);
  return attention_with_lse(q, block.keys, block.values);
}

at::Tensor all_heads(const at::Tensor& q) { return at::ones({q.size(2)}, q.options().dtype(at::kBool)); }
at::Tensor no_heads(const at::Tensor& q) { return at::zeros({q.size(2)}, q.options().dtype(at::kBool)); }

/// Computes anew the heads that the gate has chosen beforehand; returns which, [N] bool.
at::Tensor refresh_by_gate(BlockExternalCache& external, const ExternalPass& pass) {
  const RefreshGate& gate = *pass.config.gate;
  const bool clean = pass.pass.kind == Pass::Kind::kClean;
  const at::Tensor heads = gate.heads_of(external.layer(), clean ? gate.steps : pass.pass.step_index);
  external.count(heads.numel(), gate.heads);
  if (heads.numel() == 0) return no_heads(pass.q);
  const at::Tensor index = heads.to(pass.q.device(), /*non_blocking=*/true);
  refresh_heads(external.kept(), index, pass);
  return no_heads(pass.q).index_fill(0, index, true);
}

/// Computes anew the heads whose reuse would be off by too much; returns which, [N] bool.
at::Tensor refresh_by_error(BlockExternalCache& external, const ExternalPass& pass, const AttentionState& internal) {
  at::Tensor chosen = probed_error(external.kept(), pass, internal) > pass.config.bound;
  external.count(chosen);
  if (!chosen.is_cpu()) {
    refresh_chosen(external.kept(), chosen, pass);
    return chosen;
  }
  const at::Tensor heads = chosen.nonzero().flatten();
  if (heads.numel() > 0) refresh_heads(external.kept(), heads, pass);
  return chosen;
}

/// Computes anew what the policy asks for; returns which heads that was, [N] bool.
at::Tensor refresh(BlockExternalCache& external, const ExternalPass& pass, const AttentionState& internal) {
  const int64_t heads = pass.q.size(2);
  if (!external.holds_state() || refreshes(pass.config, pass.pass, external.age())) {
    external.keep(compute_external(pass));
    external.count(heads, heads);
    return all_heads(pass.q);
  }
  if (pass.config.refresh == RefreshPolicy::kPublishedGate) return refresh_by_gate(external, pass);
  if (pass.config.refresh == RefreshPolicy::kErrorBound) return refresh_by_error(external, pass, internal);
  external.count(0, heads);
  return no_heads(pass.q);
}

}  // namespace

AttentionState external_attention(const at::Tensor& q, const KvCache& kv, const AttentionState& internal,
                                  BlockExternalCache& external, const AttentionConfig& config, const Pass& pass) {
  const KeyRange past = kv.past();
  const at::Tensor computed = refresh(external, {q, past, config, pass, kv.tokens_per_frame()}, internal);
  const AttentionState outside = reused_external(q, external.kept());
  external.show({.pass = pass, .query = q, .kv = kv, .external = outside, .internal = internal, .computed = computed});
  return outside;
}

at::Tensor block_attention(const at::Tensor& q, const KvCache& kv, BlockExternalCache& external,
                           const AttentionConfig& config, const Pass& pass) {
  const KeyRange past = kv.past();
  if (past.empty() || config.mode == AttentionConfig::Mode::kExact) {
    if (!past.empty()) external.count(q.size(2), q.size(2));
    const KeyRange all = kv.all();
    RECORD_USER_SCOPE(kWholeScope);
    return attention(q, all.keys, all.values);
  }
  AttentionState inside = internal_attention(q, kv.block());
  RECORD_USER_SCOPE(kExternalScope);
  const AttentionState outside = external_attention(q, kv, inside, external, config, pass);
  return merge(outside, std::move(inside)).output;
}

}  // namespace flashblock
