// The attention of one layer over earlier frame blocks, kept from pass to pass.
#pragma once

#include <cstdint>
#include <utility>

#include "attention/attention_observer.h"
#include "attention/attention_state.h"

namespace flashblock {

/// External attention state of one layer for the current frame block, and how often it was computed and reused.
class BlockExternalCache {
 public:
  bool holds_state() const { return !state_.empty(); }

  /// The state of an earlier pass, counted as reused. Requires: holds_state().
  const AttentionState& reuse() {
    ++reused_;
    return state_;
  }
  /// Keeps a newly computed state.
  const AttentionState& keep(AttentionState state) {
    count_computed();
    return state_ = std::move(state);
  }
  /// Counts an external attention that was computed together with the internal one, as exact attention does.
  void count_computed() { ++computed_; }

  /// To be called when the keys it was computed over change: at a commit.
  void forget() { state_ = {}; }
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

  int64_t computed() const { return computed_; }
  int64_t reused() const { return reused_; }
  int64_t bytes() const { return state_.empty() ? 0 : int64_t(state_.output.nbytes() + state_.lse.nbytes()); }

 private:
  AttentionState state_;
  int64_t computed_ = 0;
  int64_t reused_ = 0;
  AttentionObserver* observer_ = nullptr;
  int64_t layer_ = 0;
};

}  // namespace flashblock
