// The attention of a frame block's queries over earlier frame blocks: what is computed, what is kept, what is
// corrected.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/attention_config.h"
#include "attention/attention_state.h"
#include "attention/block_external_cache.h"
#include "attention/kv_cache.h"

namespace flashblock {

/// Mean keys are computed for the first of this many neighbouring queries and stand for all of them.
inline constexpr int64_t kMeanKeyStep = 4;

/// The attention over `past`, with what `config` wants kept of it. `pass` is the one it is computed in.
KeptAttention compute_external(const at::Tensor& q, const KeyRange& past, const AttentionConfig& config,
                               const Pass& pass);

/// How far the queries of each head have moved, as far as it matters: mean over queries of w |q' - q|, over the mean of
/// |q'|, with w = sigmoid(L_out - L_in) the weight of the external part. [N] fp32. Needs no calibration.
at::Tensor weighted_move(const at::Tensor& q, const KeptAttention& kept, const AttentionState& internal);

/// Computes the `heads` (int64 on q's device) of `kept` anew.
void refresh_heads(KeptAttention& kept, const at::Tensor& heads, const at::Tensor& q, const KeyRange& past,
                   const AttentionConfig& config, const Pass& pass);

/// L_out + s (q' - q) . mean key: exact to first order in q' - q; with a mean key of each query a lower bound, since
/// L_out is convex in q. Source: the gradient of a log-sum-exp is the mean under its weights.
at::Tensor corrected_lse(const at::Tensor& q, const KeptAttention& kept);

/// The external attention of a pass that did not compute `kept`: corrected as far as there is a mean key, merged with
/// that over the fresh keys. May be the state over no keys.
AttentionState reused_external(const at::Tensor& q, const KeptAttention& kept);

}  // namespace flashblock
