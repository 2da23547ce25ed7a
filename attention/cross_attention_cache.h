// Keys and values of the text, computed once per prompt.
#pragma once

#include <ATen/core/Tensor.h>

namespace flashblock {

/// One layer's: [B, text length, N, D] each; undefined before the first prompt.
struct CrossAttentionCache {
  at::Tensor keys;
  at::Tensor values;
};

}  // namespace flashblock
