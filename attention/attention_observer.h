// Shows an analysis the two sides of attention before they are merged.
#pragma once

#include <cstdint>

#include "attention/attention_config.h"
#include "attention/attention_state.h"
#include "attention/kv_cache.h"

namespace flashblock {

/// The attention of one layer in one pass over a frame block that has external keys.
struct AttentionObservation {
  int64_t layer = 0;
  Pass pass;
  const at::Tensor& query;         ///< [B, L, N, D]
  const KvCache& kv;               ///< external and internal keys
  const AttentionState& external;  ///< as it is merged: refreshed in this pass, or reused
  const AttentionState& internal;  ///< its memory is reused once the observer returns
  const at::Tensor& computed;      ///< [N] bool: the heads whose external attention was computed in this pass
};

/// Called on the denoising thread, layer by layer, in flashblock mode only: exact mode has one softmax for both sides.
class AttentionObserver {
 public:
  virtual ~AttentionObserver() = default;
  virtual void observe(const AttentionObservation& observation) = 0;
};

}  // namespace flashblock
