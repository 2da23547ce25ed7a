// Counts how often external attention is computed and how often it is reused.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "attention/head_selection.h"

namespace flashblock {

/// Work counter of one layer, in heads: a pass over N heads that refreshes n counts n computed and N - n reused.
class ExternalWork {
 public:
  /// Adds one pass over `heads` heads. Does not synchronize with the device, whatever the selection.
  void count(const HeadSelection& refreshed, int64_t heads) {
    heads_ += heads;
    if (refreshed.kind == HeadSelection::Kind::kAll) computed_ += heads;
    if (refreshed.kind == HeadSelection::Kind::kListed) computed_ += refreshed.heads.numel();
    if (refreshed.kind != HeadSelection::Kind::kMasked) return;
    const at::Tensor sum = refreshed.heads.sum();
    masked_ = masked_.defined() ? masked_.add(sum) : sum;
  }

  /// Synchronize with the device if any selection was a mask.
  int64_t computed() const { return computed_ + (masked_.defined() ? masked_.item<int64_t>() : 0); }
  int64_t reused() const { return heads_ - computed(); }

 private:
  int64_t computed_ = 0;  // besides masked_
  int64_t heads_ = 0;     // computed or reused
  at::Tensor masked_;     // [] int64 on the device: computed by mask
};

}  // namespace flashblock
