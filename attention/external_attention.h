// External attention: computed, cached, corrected and reused. The frame block's queries attend to earlier frame blocks.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/attention_config.h"
#include "attention/attention_state.h"
#include "attention/external_cache.h"
#include "attention/head_selection.h"
#include "attention/kv_cache.h"

namespace flashblock {

/// One mean key is computed per this many neighboring queries of the block's middle latent frame. It serves all of them
/// and the same positions of the block's other latent frames.
inline constexpr int64_t kMeanKeyStep = 2;

/// The queries of a pass, the external keys, and the configuration of their attention.
struct ExternalPass {
  const at::Tensor& q;  ///< [B, L, N, D], L a whole number of latent frames
  KeyParts past;        ///< not empty
  const AttentionConfig& config;
  Pass pass;
  int64_t tokens_per_frame = 0;
  int64_t layer = 0;
  int64_t mean_key_step = kMeanKeyStep;
  HeadShare share = {};
};

/// attention_with_lse of q to all of `keys`, part by part, merged. Numerics: rounded to the dtype after each part.
AttentionState attention_to_parts(const at::Tensor& q, const KeyParts& keys,
                                  AttentionPrecision precision = AttentionPrecision::kNative);

/// Whether a later pass over the same keys may need mean keys, for the correction of what `pass` computes.
bool wants_mean_key(const ExternalPass& pass);

/// External attention of all heads, with what the configured correction needs.
CachedExternal compute_external(const ExternalPass& pass);

/// The heads to refresh in this pass: all if the cache is empty, else as the policy decides. `internal` is the internal
/// attention of the same pass.
HeadSelection heads_to_refresh(const ExternalCache& cache, const ExternalPass& pass, const AttentionState& internal);

/// Recomputes the selected heads from this pass's queries. To be called once per pass, also with no head selected.
/// Does not synchronize.
void refresh(ExternalCache& cache, const HeadSelection& heads, const ExternalPass& pass);

/// Recomputes the rows `rows`, [R] int64 on the device of q, of all heads; of sparse attention nothing, since the keys
/// that are not selected are not kept. Requires: a filled cache; mean keys, if there are any, for each query.
void refresh_rows(CachedExternal& cached, const at::Tensor& rows, const ExternalPass& pass);

/// Recomputes the heads that `mask`, [N] bool, selects. All shapes are those of all heads, so that the host need not
/// read the mask; attention_of_masked_heads says what that costs, and in 8 bits all heads are computed. `refresh` takes
/// it for masks on a GPU.
void refresh_masked(CachedExternal& cached, const at::Tensor& mask, const ExternalPass& pass);

/// L_ext + s (q' - q) . mean key: exact to first order in q' - q; with a mean key per query a lower bound, since L_ext
/// is convex in q. [B, N, L] fp32. Source: the gradient of a log-sum-exp is the mean under its weights.
at::Tensor corrected_lse(const at::Tensor& q, const CachedExternal& cached);

/// The same by LibTorch's operators, for a defined mean key: the fallback, and the reference implementation that the
/// kernel is tested against.
at::Tensor corrected_lse_by_operators(const at::Tensor& q, const CachedExternal& cached);

/// External attention of q from the cache: corrected where there is a mean key, merged with the attention to the
/// selected keys. May be the state over no keys.
AttentionState reused_external(const at::Tensor& q, const CachedExternal& cached);

}  // namespace flashblock
