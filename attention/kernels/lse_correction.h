// First-order correction of a cached log-sum-exp in one pass over memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "attention/kernels/element.h"

namespace flashblock {

/// Widths that the kernel supports: powers of two from kLeastCorrectedWidth to kMostCorrectedWidth.
inline constexpr int64_t kLeastCorrectedWidth = 8, kMostCorrectedWidth = 256;

/// corrected = lse + scale (now - before) . key, per query and head. Queries are [B, L, N, D] contiguous and
/// 16-byte aligned, of at most 2^34 elements; mean keys likewise [B, M, N, D], query l having key l % M; log-sum-exps
/// [B, N, L] contiguous.
struct LseCorrectionArguments {
  Element element;
  const void* now;
  const void* before;
  const void* mean_keys;
  const float* lse;
  float* corrected;
  int64_t batch, queries, mean_key_count, heads, width;
  float scale;
};

/// Queues the correction; returns the status of the launch.
cudaError_t launch_lse_correction(const LseCorrectionArguments& arguments, cudaStream_t stream);

}  // namespace flashblock
