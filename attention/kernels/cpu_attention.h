// Flash attention for CPUs with AVX-512: sizes, scratch memory and the two stages of the kernel.
//
// Stage 1 lays keys and values out in tiles of 64 keys, zero-padded; stage 2 runs one block of queries over all tiles
// with an online softmax. Both stages are loops over independent units that the caller spreads over threads.
#pragma once

#include <cstdint>

#include "attention/kernels/element.h"

namespace flashblock {

/// One attention over raw memory; strides in elements, the last dimension contiguous.
struct CpuAttention {
  struct Input {
    const void* data;
    int64_t batch_stride, token_stride, head_stride;
  };
  Element element;
  Input q, k, v;
  void* output;         ///< [B, L, N, D] contiguous
  float* lse;           ///< [B, N, L]
  void* packed_keys;    ///< scratch of packed_elements() elements, 64-byte aligned
  void* packed_values;  ///< likewise
  int64_t batch, heads, queries, keys, width;
  float scale;

  static constexpr int64_t kTileKeys = 64;
  static constexpr int64_t kBlockQueries = 48;

  int64_t tiles() const { return (keys + kTileKeys - 1) / kTileKeys; }
  int64_t packed_elements() const { return pack_units() * kTileKeys * width; }
  int64_t pack_units() const { return batch * heads * tiles(); }
  int64_t query_units() const { return batch * heads * ((queries + kBlockQueries - 1) / kBlockQueries); }
};

/// True if this processor has the instructions and the kernel supports the head width (64 or 128).
bool cpu_attention_available(Element element, int64_t width);

/// Stage 1 for units [begin, end) of pack_units().
void pack_keys_values(const CpuAttention& attention, int64_t begin, int64_t end);

/// Stage 2 for units [begin, end) of query_units(), once all units of stage 1 are done.
void attend_queries(const CpuAttention& attention, int64_t begin, int64_t end);

}  // namespace flashblock
