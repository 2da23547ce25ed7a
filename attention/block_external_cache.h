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
  at::Tensor query;      ///< [B, L, N, D] that it was computed from; undefined without correction
  at::Tensor mean_key;   ///< [B, tokens of a latent frame, N, D], of each place; undefined without correction
  KeyRange fresh;        ///< external keys that every pass attends to anew; undefined unless attention is sparse

  int64_t bytes() const;
};

/// External attention of one layer for the current frame block, and how often it was computed and reused.
class BlockExternalCache {
 public:
  /// Of layer number `layer`.
  explicit BlockExternalCache(int64_t layer = 0) : layer_(layer) {}

  int64_t layer() const { return layer_; }
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
  /// To be called once a pass, with the heads computed in it and all that there are.
  void count(int64_t computed, int64_t heads) {
    computed_ += computed;
    heads_ += heads;
    ++age_;
  }
  /// The same for heads that the device chose: `computed` is [N] bool. It is not read before computed() is asked for.
  void count(const at::Tensor& computed) {
    const at::Tensor sum = computed.sum();
    chosen_ = chosen_.defined() ? chosen_.add(sum) : sum;
    count(0, computed.numel());
  }

  /// To be called when the keys it was computed over change: at a commit.
  void forget() {
    kept_ = {};
    kept_state_ = false;
  }
  /// Forgets the state and the counts.
  void reset() {
    forget();
    computed_ = heads_ = 0;
    chosen_.reset();
  }

  /// From now on `observer` (none: nobody) is shown every attention of this layer.
  void watch(AttentionObserver* observer) { observer_ = observer; }
  /// Shows the observer, if there is one, both parts of an attention before they are merged.
  void show(AttentionObservation observation) const {
    observation.layer = layer_;
    if (observer_) observer_->observe(observation);
  }

  /// Counted per head. Waits for the device if it chose any.
  int64_t computed() const { return computed_ + (chosen_.defined() ? chosen_.item<int64_t>() : 0); }
  int64_t reused() const { return heads_ - computed(); }  ///< likewise
  int64_t bytes() const { return kept_.bytes(); }

 private:
  KeptAttention kept_;
  bool kept_state_ = false;
  int64_t age_ = 0;
  int64_t computed_ = 0;  // besides those in chosen_
  int64_t heads_ = 0;     // computed or reused
  at::Tensor chosen_;     // [] int64: computed as the device chose
  AttentionObserver* observer_ = nullptr;
  int64_t layer_ = 0;
};

}  // namespace flashblock
