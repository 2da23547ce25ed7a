// The external attention of one layer, cached from pass to pass of a frame block.
#pragma once

#include <cstdint>
#include <utility>

#include "attention/attention_state.h"
#include "attention/kv_cache.h"

namespace flashblock {

/// External attention as it is cached.
struct CachedExternal {
  AttentionState state;  ///< over all external keys but `selected`; empty if there are no others, or they are dropped
  at::Tensor query;      ///< [B, L, N, D] that it was computed from; undefined without correction
  at::Tensor mean_key;   ///< [B, tokens of a latent frame, N, D], per position; undefined without correction
  KeyRange selected;     ///< external keys that every pass attends to; undefined unless attention is sparse

  int64_t bytes() const;
};

/// The cached external attention of a layer for the current frame block. Never carried over to another frame block.
class ExternalCache {
 public:
  bool empty() const { return empty_; }
  CachedExternal& state() { return state_; }
  const CachedExternal& state() const { return state_; }
  int64_t age() const { return age_; }  ///< passes since all heads were computed
  int64_t bytes() const { return state_.bytes(); }

  /// Caches an external attention whose heads were all computed in this pass.
  void store(CachedExternal state) {
    state_ = std::move(state);
    empty_ = false;
    age_ = 0;
  }
  void count_pass() { ++age_; }  ///< at the end of each pass

  /// To be called when the external keys change: at a commit or a reset.
  void clear() { *this = {}; }

 private:
  CachedExternal state_;
  bool empty_ = true;
  int64_t age_ = 0;
};

}  // namespace flashblock
