// Keys and values that belong together.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace flashblock {

/// A contiguous view of keys and values, [B, S, N, D] each. Not in order of time: softmax is invariant to the order of
/// the keys, and keys carry their position in their rotation.
struct KeyRange {
  at::Tensor keys;
  at::Tensor values;

  int64_t tokens() const { return keys.size(1); }
  bool empty() const { return tokens() == 0; }
};

}  // namespace flashblock
