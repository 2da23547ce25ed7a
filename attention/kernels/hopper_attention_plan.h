// What the kernels of attention in 8 bits work on: sizes and memory.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "attention/kernels/hopper_attention.h"
#include "attention/kernels/hopper_tiles.h"

namespace flashblock::int8_attention {

using hopper_tiles::kUnitQueries, hopper_tiles::kWidth;
constexpr int kGroups = 3;  ///< warpgroups that compute
constexpr int kKeys = 96;   ///< of a block; 128 in two groups, or 192, take longer
constexpr int kTileQueries = kUnitQueries * kGroups;
constexpr int kBlockBytes = kKeys * kWidth;  ///< of keys, or of values

/// Rows of 16-bit numbers.
struct Strided {
  const __nv_bfloat16* data;
  Int8AttentionStrides strides;
};

struct Quantisation {
  Strided q, k, v;
  int heads, all_heads, queries, keys, padded_queries, key_blocks, samples;
  uint8_t* q8;  // [all_heads, padded_queries / kUnitQueries, kWidth / 16, kUnitQueries, 16]
  // [all_heads, key_blocks, 2], of keys [kWidth / 16, kKeys, 16], of values in the order of the note
  // [kKeys / 16, kWidth, 16]
  uint8_t* kv8;
  float *q_scales, *q_shifts;            // [all_heads, padded_queries]
  float* k_scales;                       // [all_heads, key_blocks]
  float *k_means, *v_means, *v_factors;  // [all_heads, kWidth]; v_factors: what values are multiplied by
  int* arrivals;
  int arrival_count;
};

/// A tile is kTileQueries queries of a head; a step is a block of keys.
struct Work {
  const uint8_t *q8, *kv8;
  hopper_tiles::Tiles tiles;
  int heads, queries, keys, padded_queries;
  const float *q_scales, *q_shifts, *k_scales, *v_factors, *v_means;
  __nv_bfloat16* out;
  float* lse;
};

struct Plan {
  Quantisation quantisation;
  Work work;
  int grid;
  int64_t bytes;  ///< of the workspace
};

Plan plan_of(const Int8AttentionArguments& arguments);

}  // namespace flashblock::int8_attention
