// The attention of a frame block's queries over earlier frame blocks: what is computed, what is kept, what is
// corrected, and how far what is kept is off.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/attention_config.h"
#include "attention/attention_state.h"
#include "attention/block_external_cache.h"
#include "attention/kv_cache.h"

namespace flashblock {

/// A pass's queries over earlier frame blocks, and how their attention is to be obtained.
struct ExternalPass {
  const at::Tensor& q;   ///< [B, L, N, D], L a whole number of latent frames
  const KeyRange& past;  ///< not empty
  const AttentionConfig& config;
  Pass pass;
  int64_t tokens_per_frame = 0;
};

/// One mean key is computed for this many neighboring queries of the block's middle latent frame; it stands for them
/// and for the same places in the block's other latent frames.
inline constexpr int64_t kMeanKeyStep = 2;

/// Queries that the error of a kept attention is measured at.
inline constexpr int64_t kProbes = 32;

/// The external attention, with what the configuration wants kept of it.
KeptAttention compute_external(const ExternalPass& pass);

/// How far the merged output would be off if `kept` were used in this pass, measured at up to kProbes evenly spaced
/// queries, for which the external attention is computed: of each head, the norm of the error over that of the output
/// of an average head. [N] fp32, on the device of q, which is not waited for. Requires: no fresh keys.
at::Tensor probed_error(const KeptAttention& kept, const ExternalPass& pass, const AttentionState& internal);

/// Computes the `heads` (int64 on q's device) of `kept` anew.
void refresh_heads(KeptAttention& kept, const at::Tensor& heads, const ExternalPass& pass);

/// The same for heads that only the device knows: `chosen` is [N] bool. All shapes are those of all heads, so that the
/// host need not wait; see attention_of_chosen_heads for what that costs.
void refresh_chosen(KeptAttention& kept, const at::Tensor& chosen, const ExternalPass& pass);

/// L_out + s (q' - q) . mean key: exact to first order in q' - q; with a mean key of each query a lower bound, since
/// L_out is convex in q. [B, N, L] fp32. Source: the gradient of a log-sum-exp is the mean under its weights.
at::Tensor corrected_lse(const at::Tensor& q, const KeptAttention& kept);

/// The same by LibTorch's operators, for a kept mean key: the fallback, and the twin the kernel is tested against.
at::Tensor corrected_lse_by_operators(const at::Tensor& q, const KeptAttention& kept);

/// The external attention of a pass that did not compute `kept`: corrected as far as there is a mean key, merged with
/// that over the fresh keys. May be the state over no keys.
AttentionState reused_external(const at::Tensor& q, const KeptAttention& kept);

}  // namespace flashblock
