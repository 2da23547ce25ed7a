// The measured error of reuse, by which the policy error_bound selects heads.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/external_attention.h"

namespace flashblock {

/// Queries at which the error of reuse is measured.
inline constexpr int64_t kProbes = 32;

/// How far the merged output would be off if `cached` were reused in this pass, measured at up to kProbes evenly spaced
/// queries, for which the external attention is computed: per head, the norm of the error over the norm of the output
/// of an average head. [N] fp32 on the device of q. Does not synchronize. Requires: dense attention.
at::Tensor probed_error(const CachedExternal& cached, const ExternalPass& pass, const AttentionState& internal);

}  // namespace flashblock
