// Grouped query heads: several query heads share one head of keys and values.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace flashblock {

// Query head n attends with key/value head n / (N / K). Attention knows no order of its queries, so the N / K query
// heads of a key/value head become more rows of that head: keys are never repeated, and kernels, merge, cached states
// and policies work as they are, with K heads and N / K times the rows.

/// The queries of N heads as rows of `kv_heads` heads: row l * (N / K) + g of head k is query l of head k * (N / K) +
/// g. Shape: q [B, L, N, D]; returns [B, L * N / K, K, D], contiguous. Requires: N a multiple of kv_heads.
inline at::Tensor group_queries(const at::Tensor& q, int64_t kv_heads) {
  const int64_t group = q.size(2) / kv_heads;
  if (group == 1) return q.contiguous();
  return q.unflatten(2, {kv_heads, group}).transpose(2, 3).flatten(1, 2).contiguous();
}

/// The inverse, for attention outputs. Shape: x [B, L * group, K, D]; returns [B, L, K * group, D].
inline at::Tensor ungroup_queries(const at::Tensor& x, int64_t group) {
  if (group == 1) return x;
  return x.unflatten(1, {x.size(1) / group, group}).transpose(2, 3).flatten(2, 3);
}

}  // namespace flashblock
