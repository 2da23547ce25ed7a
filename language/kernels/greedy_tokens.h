// The most probable token of each row of logits, its probability and the entropy, in one pass over the logits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock {

/// Logits bf16, contiguous and 16-byte aligned; vocabulary a multiple of 8.
struct GreedyTokens {
  const void* logits;  ///< [rows, vocabulary]
  void* partial;       ///< kGreedyPartialBytes a row, 16-byte aligned
  double* results;     ///< [3, rows], perhaps in pinned host memory: token, its probability, entropy (natural log)
  int64_t rows, vocabulary;
  int64_t never;      ///< a token that is not chosen, but counts; below 0: none
  float temperature;  ///< divides the logits
};

inline constexpr int64_t kGreedyParts = 32;  ///< that a row is divided into
inline constexpr int64_t kGreedyPartialBytes = kGreedyParts * 32;

/// Queues the search; returns the status of the launch.
cudaError_t launch_greedy_tokens(const GreedyTokens& search, cudaStream_t stream);

}  // namespace flashblock
