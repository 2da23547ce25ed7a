// Selection of the external keys that matter most to each head, for sparse attention.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/kv_cache.h"

namespace flashblock {

/// The keys and values of each head in two parts, copied. The split differs from head to head. Either part may be
/// empty.
struct KeySplit {
  KeyRange selected;  ///< the most relevant ones
  KeyRange residual;  ///< all others
};

/// Keys are selected in runs of this many neighbors.
inline constexpr int64_t kSelectionRun = 16;

/// Splits `past` so that the share `density` (0 to 1) of its runs, rounded up, is selected; the keys after the last
/// whole run always are. The relevance of a run to a head is the softmax weight that up to 64 evenly spaced queries
/// give it. Shape: q [B, L, N, D]. Does not synchronize.
KeySplit split_by_relevance(const at::Tensor& q, const KeyRange& past, double density);

}  // namespace flashblock
