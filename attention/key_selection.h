// The external keys that matter most to a head, apart from the others.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/kv_cache.h"

namespace flashblock {

/// Keys and values of each head in two parts, copied; which keys they are differs from head to head. Either may be
/// empty.
struct KeySplit {
  KeyRange fresh;  ///< the most relevant ones
  KeyRange rest;
};

/// Keys are chosen in runs of this many neighbours.
inline constexpr int64_t kSelectionRun = 16;

/// Splits `past` so that `density` (0..1) of its runs, rounded up, are fresh; keys after the last whole run always are.
/// The relevance of a run to a head is the softmax weight it gets from up to 64 queries, evenly spaced.
/// Shape: q [B, L, N, D]. The device is not waited for.
KeySplit split_by_relevance(const at::Tensor& q, const KeyRange& past, double density);

}  // namespace flashblock
