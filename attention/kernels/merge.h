// Merge of two attention states in one pass over memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "attention/kernels/element.h"

namespace flashblock {

/// Outputs are [B, L, N, D] contiguous and 16-byte aligned, D a multiple of 8, of at most 2^34 elements; log-sum-exps
/// [B, N, L] contiguous.
struct MergeArguments {
  Element element;
  const void* external;
  const float* external_lse;
  void* internal;  ///< replaced by the merged output
  const float* internal_lse;
  float* merged_lse;  ///< must not alias the inputs
  int64_t batch, queries, heads, width;
};

/// Queues the merge; returns the status of the launch.
cudaError_t launch_merge(const MergeArguments& arguments, cudaStream_t stream);

}  // namespace flashblock
