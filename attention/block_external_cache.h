// The attention of one layer over earlier frame blocks, kept from pass to pass.
#pragma once

#include <cstdint>
#include <utility>

#include "attention/attention_observer.h"
#include "attention/attention_state.h"

namespace flashblock {

/// What is kept of an external attention.
struct KeptAttention {
  AttentionState state;  ///< over all external keys but `fresh`; empty if there are no others, or they are dropped
  at::Tensor query;      ///< [B, L, N, D] that it was computed from; undefined where nothing asks for it
  at::Tensor mean_key;   ///< [B, ceil(L / kMeanKeyStep), N, D]; undefined without correction
  KeyRange fresh;        ///< external keys that every pass attends to anew; undefined unless attention is sparse

  int64_t bytes() const;
};

/// External attention of one layer for the current frame block, and how often it was computed and reused.
class BlockExternalCache {
 public:
  bool holds_state() const { return kept_state_; }
  KeptAttention& kept() { return kept_; }
  /// Passes since all heads were computed.
  int64_t age() const { return age_; }

  /// Keeps a newly computed attention, of all heads.
  void keep(KeptAttention kept) {
    kept_ = std::move(kept);
    kept_state_ = true;
    age_ = 0;
  }
  /// To be called once a pass, with the heads computed in it and those that were not.
  void count(int64_t computed, int64_t reused) {
    computed_ += computed;
    reused_ += reused;
    ++age_;
  }

  /// To be called when the keys it was computed over change: at a commit.
  void forget() {
    kept_ = {};
    kept_state_ = false;
  }
  /// Forgets the state and the counts.
  void reset() {
    forget();
    computed_ = reused_ = 0;
  }

  /// From now on `observer` (none: nobody) is shown every attention of this layer, number `layer`.
  void watch(AttentionObserver* observer, int64_t layer) {
    observer_ = observer;
    layer_ = layer;
  }
  /// Shows the observer, if there is one, both parts of an attention before they are merged.
  void show(AttentionObservation observation) const {
    observation.layer = layer_;
    if (observer_) observer_->observe(observation);
  }

  int64_t computed() const { return computed_; }  ///< counted per head
  int64_t reused() const { return reused_; }      ///< counted per head
  int64_t bytes() const { return kept_.bytes(); }

 private:
  KeptAttention kept_;
  bool kept_state_ = false;
  int64_t age_ = 0;
  int64_t computed_ = 0;
  int64_t reused_ = 0;
  AttentionObserver* observer_ = nullptr;
  int64_t layer_ = 0;
};

}  // namespace flashblock
