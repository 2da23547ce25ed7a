// Attention of few queries to many keys: bound by reading keys and values once.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock {

inline constexpr int64_t kFewQueries = 256;  ///< most queries of a head
inline constexpr int64_t kFewQueryHeadWidth = 128;

/// bf16, heads of 128. Strides in elements, multiples of 8, addresses 16-byte aligned; the last dimension is
/// contiguous.
struct FewQueryAttention {
  struct Input {
    const void* data;
    int64_t batch_stride, row_stride, head_stride;
  };
  Input q, k, v;
  void* output;    ///< [batch, queries, heads, 128] bf16, contiguous
  float* lse;      ///< [batch, heads, queries], contiguous; may be null
  float* partial;  ///< partial_floats(); may be null for one part
  int64_t batch, heads, queries, keys;
  int parts;  ///< that the keys are divided into
  float scale;
  /// The result is merged with this state, as output and lse are stored; null: none. `lse` stays that of the keys.
  const void* external = nullptr;
  const float* external_lse = nullptr;
  /// Queries from late_query on do not attend to the first hidden_keys keys.
  int64_t late_query = kFewQueries, hidden_keys = 0;

  int64_t rows() const { return batch * heads * queries; }
  int64_t partial_floats() const { return parts > 1 ? parts * rows() * (kFewQueryHeadWidth + 1) : 0; }
};

/// Parts to divide the keys into, so that all multiprocessors have some.
int few_query_parts(int64_t batch, int64_t heads, int64_t queries, int64_t keys, int processors);

/// Queues the attention; returns the status of the launch.
cudaError_t launch_few_query_attention(const FewQueryAttention& attention, cudaStream_t stream);

}  // namespace flashblock
