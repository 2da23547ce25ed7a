#include "attention/external_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <utility>

#include "attention/attention.h"
#include "attention/int8_attention.h"
#include "attention/key_selection.h"
#include "attention/refresh_policy.h"
#include "core/check.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#include "attention/element_of.h"
#include "attention/kernels/lse_correction.h"
#endif

namespace flashblock {
namespace {

// Queries that have a mean key of their own: [B, ceil(tokens of a frame / mean_key_step), N, D].
at::Tensor mean_key_queries(const ExternalPass& pass) {
  const int64_t tokens = pass.tokens_per_frame;
  FB_CHECK(tokens > 0 && pass.q.size(1) % tokens == 0, pass.q.size(1), " queries of frames of ", tokens);
  return pass.q.narrow(1, pass.q.size(1) / tokens / 2 * tokens, tokens).slice(1, 0, tokens, pass.mean_key_step);
}

at::Tensor for_whole_frame(const at::Tensor& mean_keys, const ExternalPass& pass) {
  if (pass.mean_key_step == 1) return mean_keys;
  return mean_keys.repeat_interleave(pass.mean_key_step, 1).narrow(1, 0, pass.tokens_per_frame);
}

AttentionState over_selected(const at::Tensor& q, const CachedExternal& cached) {
  if (!cached.selected.keys.defined() || cached.selected.empty()) return {};
  return attention_with_lse(q, cached.selected.keys, cached.selected.values);
}

// s (now - before) . key of each query: all [B, L, N, D], the result [B, N, L] fp32.
at::Tensor first_order_change(const at::Tensor& now, const at::Tensor& before, const at::Tensor& key) {
  const at::Tensor move = now.to(at::kFloat) - before.to(at::kFloat);
  return ((move * key.to(at::kFloat)).sum(-1) / std::sqrt(double(now.size(-1)))).transpose(1, 2);
}

#ifdef FLASHBLOCK_CUDA
bool kernel_takes(const at::Tensor& q, const CachedExternal& cached) {
  const int64_t width = q.size(3);
  const bool type = q.scalar_type() == at::kFloat || q.scalar_type() == at::kBFloat16;
  return q.is_cuda() && type && q.is_contiguous() && cached.query.is_contiguous() && cached.mean_key.is_contiguous() &&
         cached.state.lse.is_contiguous() && width >= kLeastCorrectedWidth && width <= kMostCorrectedWidth &&
         (width & (width - 1)) == 0;
}

at::Tensor corrected_lse_by_kernel(const at::Tensor& q, const CachedExternal& cached) {
  const at::Tensor corrected = at::empty_like(cached.state.lse);
  const LseCorrectionArguments arguments{.element = element_of(q),
                                         .now = q.const_data_ptr(),
                                         .before = cached.query.const_data_ptr(),
                                         .mean_keys = cached.mean_key.const_data_ptr(),
                                         .lse = cached.state.lse.const_data_ptr<float>(),
                                         .corrected = corrected.data_ptr<float>(),
                                         .batch = q.size(0),
                                         .queries = q.size(1),
                                         .mean_key_count = cached.mean_key.size(1),
                                         .heads = q.size(2),
                                         .width = q.size(3),
                                         .scale = float(1 / std::sqrt(double(q.size(3))))};
  launch(launch_lse_correction, arguments, q, "lse_correction");
  return corrected;
}
#endif

// Recomputes the heads `index`, int64 on the CPU.
void refresh_listed(CachedExternal& cached, const at::Tensor& index, const ExternalPass& pass) {
  if (index.numel() == 0) return;
  const at::Tensor heads = index.to(pass.q.device(), /*non_blocking=*/true);
  const KeyRange past = pass.past.whole();
  const KeyRange keys{past.keys.index_select(2, heads), past.values.index_select(2, heads)};
  const at::Tensor q = pass.q.index_select(2, heads);
  ExternalPass of_heads{q, keys, pass.config, pass.pass, pass.tokens_per_frame};
  of_heads.mean_key_step = pass.mean_key_step;
  const CachedExternal recomputed = compute_external(of_heads);
  cached.state.output.index_copy_(2, heads, recomputed.state.output);
  cached.state.lse.index_copy_(1, heads, recomputed.state.lse);
  // A copy, since it may be the caller's tensor. Also without new mean keys: these heads must not be corrected.
  if (cached.query.defined()) cached.query = cached.query.index_copy(2, heads, q);
  if (recomputed.mean_key.defined()) cached.mean_key.index_copy_(2, heads, recomputed.mean_key);
}

}  // namespace

AttentionState attention_to_parts(const at::Tensor& q, const KeyParts& keys, AttentionPrecision precision) {
  AttentionState state;
  for (int64_t i = 0; i < keys.count(); ++i) {
    const KeyRange part = keys.part(i);
    state = merge(attention_with_lse(q, part.keys, part.values, precision), std::move(state));
  }
  return state;
}

bool wants_mean_key(const ExternalPass& pass) {
  return pass.config.correction == AttentionConfig::Correction::kMeanKey && reused_later(pass.config, pass.pass);
}

CachedExternal compute_external(const ExternalPass& pass) {
  CachedExternal cached;
  KeyParts keys = pass.past;
  if (pass.config.density > 0) {
    KeySplit split = split_by_relevance(pass.q, pass.past.whole(), pass.config.density);
    cached.selected = std::move(split.selected);
    keys = std::move(split.residual);
    if (keys.empty() || pass.config.residual == AttentionConfig::Residual::kDropped) return cached;
  }
  const bool corrected = wants_mean_key(pass);
  const at::Tensor mean_key_q = corrected ? mean_key_queries(pass) : at::Tensor();
  AttentionState mean_keys;
  for (int64_t i = 0; i < keys.count(); ++i) {
    const KeyRange part = keys.part(i);
    cached.state =
        merge(attention_with_lse(pass.q, part.keys, part.values, pass.config.external), std::move(cached.state));
    if (!corrected) continue;
    if (keys.count() == 1)
      mean_keys.output = attention(mean_key_q, part.keys, part.keys);
    else
      mean_keys = merge(attention_with_lse(mean_key_q, part.keys, part.keys), std::move(mean_keys));
  }
  if (corrected) {
    cached.query = pass.q;
    cached.mean_key = for_whole_frame(mean_keys.output, pass);
  }
  return cached;
}

HeadSelection heads_to_refresh(const ExternalCache& cache, const ExternalPass& pass, const AttentionState& internal) {
  const RefreshPolicy& policy = *pass.config.refresh;
  if (cache.empty() || policy.refreshes(pass.config, pass.pass, cache.age())) return HeadSelection::all();
  return policy.select_heads(pass, cache.state(), internal);
}

void refresh(ExternalCache& cache, const HeadSelection& heads, const ExternalPass& pass) {
  switch (heads.kind) {
    case HeadSelection::Kind::kNone:
      break;
    case HeadSelection::Kind::kAll:
      cache.store(compute_external(pass));
      break;
    case HeadSelection::Kind::kListed:
      refresh_listed(cache.state(), heads.heads, pass);
      break;
    case HeadSelection::Kind::kMasked:
      if (heads.heads.is_cpu())
        refresh_listed(cache.state(), heads.heads.nonzero().flatten(), pass);
      else
        refresh_masked(cache.state(), heads.heads, pass);
  }
  cache.count_pass();
}

void refresh_rows(CachedExternal& cached, const at::Tensor& rows, const ExternalPass& pass) {
  if (pass.config.density > 0 || rows.numel() == 0) return;
  const at::Tensor q = pass.q.index_select(1, rows);
  ExternalPass of_rows{q, pass.past, pass.config, pass.pass, q.size(1), pass.layer};
  of_rows.mean_key_step = 1;
  const CachedExternal recomputed = compute_external(of_rows);
  cached.state.output = cached.state.output.index_copy(1, rows, recomputed.state.output);
  cached.state.lse = cached.state.lse.index_copy(2, rows, recomputed.state.lse);
  if (cached.query.defined()) cached.query = cached.query.index_copy(1, rows, q);
  if (!recomputed.mean_key.defined() || !cached.mean_key.defined()) return;
  FB_CHECK(cached.mean_key.size(1) == pass.q.size(1), "rows with a mean key for several queries");
  cached.mean_key = cached.mean_key.index_copy(1, rows, recomputed.mean_key);
}

void refresh_masked(CachedExternal& cached, const at::Tensor& mask, const ExternalPass& pass) {
  const at::Tensor per_query = mask.view({1, 1, -1, 1});
  const KeyRange past = pass.past.whole();
  const AttentionState recomputed = pass.config.external == AttentionPrecision::kInt8
                                        ? int8_attention_with_lse(pass.q, past.keys, past.values)
                                        : attention_of_masked_heads(pass.q, past.keys, past.values, mask);
  cached.state.output = at::where(per_query, recomputed.output, cached.state.output);
  cached.state.lse = at::where(mask.view({1, -1, 1}), recomputed.lse, cached.state.lse);
  if (cached.query.defined()) cached.query = at::where(per_query, pass.q, cached.query);
  if (!wants_mean_key(pass)) return;
  const at::Tensor keys = attention_of_masked_heads(mean_key_queries(pass), past.keys, past.keys, mask).output;
  cached.mean_key = at::where(per_query, for_whole_frame(keys, pass), cached.mean_key);
}

at::Tensor corrected_lse_by_operators(const at::Tensor& q, const CachedExternal& cached) {
  const int64_t frames = q.size(1) / cached.mean_key.size(1);
  return cached.state.lse + first_order_change(q, cached.query, cached.mean_key.repeat({1, frames, 1, 1}));
}

at::Tensor corrected_lse(const at::Tensor& q, const CachedExternal& cached) {
  if (!cached.mean_key.defined() || cached.query.is_same(q)) return cached.state.lse;
#ifdef FLASHBLOCK_CUDA
  if (kernel_takes(q, cached)) return corrected_lse_by_kernel(q, cached);
#endif
  return corrected_lse_by_operators(q, cached);
}

AttentionState reused_external(const at::Tensor& q, const CachedExternal& cached) {
  if (cached.state.empty()) return over_selected(q, cached);
  return merge({cached.state.output, corrected_lse(q, cached)}, over_selected(q, cached));
}

}  // namespace flashblock
