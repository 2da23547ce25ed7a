#include "attention/external_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>

#include "attention/attention.h"
#include "attention/key_selection.h"
#include "core/check.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#include "attention/element_of.h"
#include "attention/kernels/lse_correction.h"
#endif

namespace flashblock {
namespace {

bool corrects(const AttentionConfig& config) { return config.correction == AttentionConfig::Correction::kMeanKey; }

// Whether a later pass over the same keys may ask how far the queries have moved.
bool wants_query(const ExternalPass& pass) {
  const bool last = pass.pass.kind == Pass::Kind::kClean || pass.config.refresh == RefreshPolicy::kEveryPass;
  return !last && corrects(pass.config);
}

// Queries that have a mean key of their own: [B, ceil(tokens of a frame / kMeanKeyStep), N, D].
at::Tensor mean_key_queries(const ExternalPass& pass) {
  const int64_t tokens = pass.tokens_per_frame;
  FB_CHECK(tokens > 0 && pass.q.size(1) % tokens == 0, pass.q.size(1), " queries of frames of ", tokens);
  return pass.q.narrow(1, pass.q.size(1) / tokens / 2 * tokens, tokens).slice(1, 0, tokens, kMeanKeyStep);
}

at::Tensor for_whole_frame(const at::Tensor& mean_keys, int64_t tokens) {
  return mean_keys.repeat_interleave(kMeanKeyStep, 1).narrow(1, 0, tokens);
}

int64_t bytes_of(const at::Tensor& x) { return x.defined() ? int64_t(x.nbytes()) : 0; }

AttentionState over_fresh(const at::Tensor& q, const KeptAttention& kept) {
  if (!kept.fresh.keys.defined() || kept.fresh.empty()) return {};
  return attention_with_lse(q, kept.fresh.keys, kept.fresh.values);
}

// s (now - before) . key of each query: all [B, L, N, D], the result [B, N, L] fp32.
at::Tensor first_order_change(const at::Tensor& now, const at::Tensor& before, const at::Tensor& key) {
  const at::Tensor move = now.to(at::kFloat) - before.to(at::kFloat);
  return ((move * key.to(at::kFloat)).sum(-1) / std::sqrt(double(now.size(-1)))).transpose(1, 2);
}

#ifdef FLASHBLOCK_CUDA
bool kernel_takes(const at::Tensor& q, const KeptAttention& kept) {
  const int64_t width = q.size(3);
  const bool type = q.scalar_type() == at::kFloat || q.scalar_type() == at::kBFloat16;
  return q.is_cuda() && type && q.is_contiguous() && kept.query.is_contiguous() && kept.mean_key.is_contiguous() &&
         kept.state.lse.is_contiguous() && width >= kLeastCorrectedWidth && width <= kMostCorrectedWidth &&
         (width & (width - 1)) == 0;
}

at::Tensor corrected_lse_by_kernel(const at::Tensor& q, const KeptAttention& kept) {
  const at::Tensor corrected = at::empty_like(kept.state.lse);
  const LseCorrectionArguments arguments{.element = element_of(q),
                                         .now = q.const_data_ptr(),
                                         .before = kept.query.const_data_ptr(),
                                         .mean_keys = kept.mean_key.const_data_ptr(),
                                         .lse = kept.state.lse.const_data_ptr<float>(),
                                         .corrected = corrected.data_ptr<float>(),
                                         .batch = q.size(0),
                                         .queries = q.size(1),
                                         .mean_key_count = kept.mean_key.size(1),
                                         .heads = q.size(2),
                                         .width = q.size(3),
                                         .scale = float(1 / std::sqrt(double(q.size(3))))};
  launch(launch_lse_correction, arguments, q, "lse_correction");
  return corrected;
}
#endif

AttentionState at_queries(const AttentionState& state, const at::Tensor& index) {
  return {state.output.index_select(1, index), state.lse.index_select(2, index)};
}

// Squares summed over all but the heads: [N].
at::Tensor squares_by_head(const at::Tensor& x) { return x.square().sum({0, 1, 3}); }

}  // namespace

int64_t KeptAttention::bytes() const {
  return bytes_of(state.output) + bytes_of(state.lse) + bytes_of(query) + bytes_of(mean_key) + bytes_of(fresh.keys) +
         bytes_of(fresh.values);
}

KeptAttention compute_external(const ExternalPass& pass) {
  KeptAttention kept;
  KeyRange keys = pass.past;
  if (pass.config.density > 0) {
    KeySplit split = split_by_relevance(pass.q, pass.past, pass.config.density);
    kept.fresh = std::move(split.fresh);
    keys = std::move(split.rest);
    if (keys.empty() || pass.config.residual == AttentionConfig::Residual::kDropped) return kept;
  }
  kept.state = attention_with_lse(pass.q, keys.keys, keys.values);
  if (wants_query(pass)) {
    kept.query = pass.q;
    kept.mean_key = for_whole_frame(attention(mean_key_queries(pass), keys.keys, keys.keys), pass.tokens_per_frame);
  }
  return kept;
}

at::Tensor probed_error(const KeptAttention& kept, const ExternalPass& pass, const AttentionState& internal) {
  FB_CHECK(!kept.fresh.keys.defined(), "errors are measured of dense attention");
  // An odd step does not stay in one column of the frame.
  const int64_t step = (pass.q.size(1) + kProbes - 1) / kProbes | 1;
  const at::Tensor index = at::arange(0, pass.q.size(1), step, pass.q.options().dtype(at::kLong));
  const at::Tensor q = pass.q.index_select(1, index);
  AttentionState stale = at_queries(kept.state, index);
  if (kept.mean_key.defined()) {
    const at::Tensor key = kept.mean_key.index_select(1, index.remainder(kept.mean_key.size(1)));
    stale.lse = stale.lse + first_order_change(q, kept.query.index_select(1, index), key);
  }
  const AttentionState inside = at_queries(internal, index);
  const AttentionState fresh = attention_with_lse(q, pass.past.keys, pass.past.values);
  const at::Tensor right = merge_by_operators(fresh, inside).output.to(at::kFloat);
  const at::Tensor wrong = merge_by_operators(stale, inside).output.to(at::kFloat);
  return (squares_by_head(wrong - right) / squares_by_head(right).mean().clamp_min(1e-30)).sqrt();
}

void refresh_heads(KeptAttention& kept, const at::Tensor& heads, const ExternalPass& pass) {
  const KeyRange keys{pass.past.keys.index_select(2, heads), pass.past.values.index_select(2, heads)};
  const at::Tensor q = pass.q.index_select(2, heads);
  const KeptAttention anew = compute_external({q, keys, pass.config, pass.pass, pass.tokens_per_frame});
  kept.state.output.index_copy_(2, heads, anew.state.output);
  kept.state.lse.index_copy_(1, heads, anew.state.lse);
  // A copy: it may be the caller's own tensor. Also where no new mean keys are wanted: these heads are not corrected.
  if (kept.query.defined()) kept.query = kept.query.index_copy(2, heads, q);
  if (anew.mean_key.defined()) kept.mean_key.index_copy_(2, heads, anew.mean_key);
}

void refresh_chosen(KeptAttention& kept, const at::Tensor& chosen, const ExternalPass& pass) {
  const at::Tensor per_query = chosen.view({1, 1, -1, 1});
  const KeyRange& past = pass.past;
  const AttentionState anew = attention_of_chosen_heads(pass.q, past.keys, past.values, chosen);
  kept.state.output = at::where(per_query, anew.output, kept.state.output);
  kept.state.lse = at::where(chosen.view({1, -1, 1}), anew.lse, kept.state.lse);
  if (kept.query.defined()) kept.query = at::where(per_query, pass.q, kept.query);
  if (!wants_query(pass)) return;
  const at::Tensor keys = attention_of_chosen_heads(mean_key_queries(pass), past.keys, past.keys, chosen).output;
  kept.mean_key = at::where(per_query, for_whole_frame(keys, pass.tokens_per_frame), kept.mean_key);
}

at::Tensor corrected_lse_by_operators(const at::Tensor& q, const KeptAttention& kept) {
  const int64_t frames = q.size(1) / kept.mean_key.size(1);
  return kept.state.lse + first_order_change(q, kept.query, kept.mean_key.repeat({1, frames, 1, 1}));
}

at::Tensor corrected_lse(const at::Tensor& q, const KeptAttention& kept) {
  if (!kept.mean_key.defined() || kept.query.is_same(q)) return kept.state.lse;
#ifdef FLASHBLOCK_CUDA
  if (kernel_takes(q, kept)) return corrected_lse_by_kernel(q, kept);
#endif
  return corrected_lse_by_operators(q, kept);
}

AttentionState reused_external(const at::Tensor& q, const KeptAttention& kept) {
  if (kept.state.empty()) return over_fresh(q, kept);
  return merge({kept.state.output, corrected_lse(q, kept)}, over_fresh(q, kept));
}

}  // namespace flashblock
