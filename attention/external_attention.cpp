#include "attention/external_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>

#include "attention/attention.h"
#include "attention/key_selection.h"

namespace flashblock {
namespace {

// Whether a later pass over the same keys may ask how far the queries have moved.
bool wants_query(const AttentionConfig& config, const Pass& pass) {
  const bool last = pass.kind == Pass::Kind::kClean || config.refresh == RefreshPolicy::kEveryPass;
  return !last &&
         (config.correction == AttentionConfig::Correction::kMeanKey || config.refresh == RefreshPolicy::kErrorBound);
}

at::Tensor mean_keys(const at::Tensor& q, const at::Tensor& keys) {
  return attention(q.slice(1, 0, q.size(1), kMeanKeyStep), keys, keys);
}

int64_t bytes_of(const at::Tensor& x) { return x.defined() ? int64_t(x.nbytes()) : 0; }

AttentionState over_fresh(const at::Tensor& q, const KeptAttention& kept) {
  if (!kept.fresh.keys.defined() || kept.fresh.empty()) return {};
  return attention_with_lse(q, kept.fresh.keys, kept.fresh.values);
}

}  // namespace

int64_t KeptAttention::bytes() const {
  return bytes_of(state.output) + bytes_of(state.lse) + bytes_of(query) + bytes_of(mean_key) + bytes_of(fresh.keys) +
         bytes_of(fresh.values);
}

KeptAttention compute_external(const at::Tensor& q, const KeyRange& past, const AttentionConfig& config,
                               const Pass& pass) {
  KeptAttention kept;
  KeyRange keys = past;
  if (config.density > 0) {
    KeySplit split = split_by_relevance(q, past, config.density);
    kept.fresh = std::move(split.fresh);
    keys = std::move(split.rest);
    if (keys.empty() || config.residual == AttentionConfig::Residual::kDropped) return kept;
  }
  kept.state = attention_with_lse(q, keys.keys, keys.values);
  if (wants_query(config, pass)) {
    kept.query = q;
    if (config.correction == AttentionConfig::Correction::kMeanKey) kept.mean_key = mean_keys(q, keys.keys);
  }
  return kept;
}

at::Tensor weighted_move(const at::Tensor& q, const KeptAttention& kept, const AttentionState& internal) {
  const at::Tensor now = q.to(at::kFloat);
  const at::Tensor move = (now - kept.query.to(at::kFloat)).norm(2, -1);  // [B, L, N]
  const at::Tensor weight = at::nan_to_num(at::sigmoid(kept.state.lse - internal.lse), 0.0).transpose(1, 2);
  return (weight * move).sum(at::IntArrayRef{0, 1}) / now.norm(2, -1).sum(at::IntArrayRef{0, 1}).clamp_min(1e-30);
}

void refresh_heads(KeptAttention& kept, const at::Tensor& heads, const at::Tensor& q, const KeyRange& past,
                   const AttentionConfig& config, const Pass& pass) {
  const KeyRange keys{past.keys.index_select(2, heads), past.values.index_select(2, heads)};
  const KeptAttention anew = compute_external(q.index_select(2, heads), keys, config, pass);
  kept.state.output.index_copy_(2, heads, anew.state.output);
  kept.state.lse.index_copy_(1, heads, anew.state.lse);
  if (!anew.query.defined()) return;
  kept.query = kept.query.index_copy(2, heads, anew.query);  // a copy: it may be the caller's own tensor
  if (anew.mean_key.defined()) kept.mean_key.index_copy_(2, heads, anew.mean_key);
}

at::Tensor corrected_lse(const at::Tensor& q, const KeptAttention& kept) {
  if (!kept.mean_key.defined() || kept.query.is_same(q)) return kept.state.lse;
  const at::Tensor key = kept.mean_key.to(at::kFloat).repeat_interleave(kMeanKeyStep, 1).narrow(1, 0, q.size(1));
  const at::Tensor move = q.to(at::kFloat) - kept.query.to(at::kFloat);
  const at::Tensor change = (move * key).sum(-1) / std::sqrt(double(q.size(3)));  // [B, L, N]
  return kept.state.lse + change.transpose(1, 2);
}

AttentionState reused_external(const at::Tensor& q, const KeptAttention& kept) {
  if (kept.state.empty()) return over_fresh(q, kept);
  return merge({kept.state.output, corrected_lse(q, kept)}, over_fresh(q, kept));
}

}  // namespace flashblock
