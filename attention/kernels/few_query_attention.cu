#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>

#include "attention/kernels/few_query_attention.h"
#include "core/kernels/dependent_launch.cuh"
#include "core/kernels/tensor_core.cuh"

namespace flashblock {
inline namespace few_query_attention_cu {

using namespace kernels;

// A thread block computes 16 or 32 queries of a head over a part of the keys. Its four warps take turns at 16 keys
// each, with sums of their own, which are merged at the end. Each thread copies what it will multiply itself into a
// ring in shared memory, so that nothing waits for another warp. Scores are products with the queries as the matrix
// unit's a and keys as columns of b; their accumulators are in turn the a of the products with the values, of which the
// columns of b are pairs of neighboring keys, put together from the two keys' rows.
constexpr int kWarps = 4, kThreads = 32 * kWarps;
constexpr int kWidth = int(kFewQueryHeadWidth);
constexpr int kKeys = 16;     // of a stage of a warp
constexpr int kVectors = 16;  // of a thread and stage: 8 of keys, 8 of values
constexpr int kStages = 2;
constexpr int kRowStride = kWidth + 4;  // of merged sums in shared memory
constexpr float kLn2 = 0.69314718f;

constexpr size_t ring_bytes() { return sizeof(uint4) * kVectors * kThreads * kStages; }
constexpr size_t merge_bytes(int tiles) {
  return sizeof(float) * static_cast<size_t>(kWarps * 16 * tiles * (kRowStride + 2));
}
constexpr size_t shared_bytes(int tiles) { return std::max(ring_bytes(), merge_bytes(tiles)); }

__device__ inline const __nv_bfloat16* rows_of(const FewQueryAttention::Input& input, int batch, int head) {
  return static_cast<const __nv_bfloat16*>(input.data) + batch * input.batch_stride + head * input.head_stride;
}

// The part of the keys that a thread block has.
struct KeyPart {
  int begin, end;
};

__device__ inline KeyPart key_part(const FewQueryAttention& a, int part) {
  const int runs = (int(a.keys) + kKeys - 1) / kKeys;
  return {int(int64_t(runs) * part / a.parts) * kKeys,
          min(int(int64_t(runs) * (part + 1) / a.parts) * kKeys, int(a.keys))};
}

// Sums of one warp over its keys so far: queries g and g + 8 of each tile of 16.
template <int kTiles>
struct WarpSums {
  float output[kTiles][16][4] = {};  // column tile 8 h + j has elements 64 h + 8 n + j, n = 0 to 7
  float largest[kTiles][2], total[kTiles][2] = {};

  __device__ WarpSums() {
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) largest[tile][0] = largest[tile][1] = -INFINITY;
  }
};

// Which of 16 keys a query attends to.
struct SeenKeys {
  int end;         // those before this one
  int hidden;      // but not those before this one, if the query is
  int late_query;  // this one, counted from the thread block's first, or a later one
};

// Where a difference to `largest` is taken; rows that attend to none of the keys so far have minus infinity.
__device__ inline float finite(float largest) { return largest == -INFINITY ? 0.0f : largest; }

// Adds 16 keys from a stage of the ring.
template <int kTiles>
__device__ inline void add_keys(WarpSums<kTiles>& sums, const uint4 (&q)[kTiles][2][4], const uint4* stage,
                                SeenKeys seen, float scale_log2) {
  const int t = int(threadIdx.x) % 4;
  float scores[kTiles][2][4] = {};
#pragma unroll
  for (int eight = 0; eight < 2; ++eight) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint4 keys = stage[(eight * 4 + i) * kThreads];
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) multiply_add(scores[tile][eight], q[tile][0][i], q[tile][1][i], keys);
    }
  }
  uint32_t weights[kTiles][4];
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {  // query g, query g + 8
      const int query = tile * 16 + half * 8 + int(threadIdx.x) % 32 / 4;
      const int begin = query >= seen.late_query ? seen.hidden : 0;
      float x[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = i / 2 * 8 + 2 * t + i % 2;
        x[i] = key >= begin && key < seen.end ? scores[tile][i / 2][2 * half + i % 2] * scale_log2 : -INFINITY;
      }
      float largest = fmaxf(fmaxf(x[0], x[1]), fmaxf(x[2], x[3]));
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
      largest = fmaxf(largest, sums.largest[tile][half]);
      const float kept = exp2f(sums.largest[tile][half] - finite(largest));
      sums.largest[tile][half] = largest;
      if (__any_sync(0xffffffffu, kept != 1.0f)) {
        sums.total[tile][half] *= kept;
#pragma unroll
        for (int column = 0; column < 16; ++column) {
          sums.output[tile][column][2 * half] *= kept;
          sums.output[tile][column][2 * half + 1] *= kept;
        }
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        x[i] = exp2f(x[i] - finite(largest));
        sums.total[tile][half] += x[i];
      }
      weights[tile][half] = packed_bfloat16(x[0], x[1]);
      weights[tile][2 + half] = packed_bfloat16(x[2], x[3]);
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    uint32_t v[4][4];  // keys 2 t, 2 t + 1, 2 t + 8, 2 t + 9
#pragma unroll
    for (int key = 0; key < 4; ++key) {
      const uint4 loaded = stage[(8 + half * 4 + key) * kThreads];
      v[key][0] = loaded.x, v[key][1] = loaded.y, v[key][2] = loaded.z, v[key][3] = loaded.w;
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const unsigned selector = j % 2 ? 0x7632 : 0x5410;
      const uint32_t low = __byte_perm(v[0][j / 2], v[1][j / 2], selector);
      const uint32_t high = __byte_perm(v[2][j / 2], v[3][j / 2], selector);
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile)
        multiply_add(sums.output[tile][half * 8 + j], weights[tile][0], weights[tile][1], weights[tile][2],
                     weights[tile][3], low, high);
    }
  }
}

// Of the external state in the merge with a row over the keys.
__device__ inline float external_weight(const FewQueryAttention& a, int64_t row, float lse) {
  if (!a.external) return 0;
  const float external = a.external_lse[row];
  return external == -INFINITY ? 0.0f : 1.0f / (1.0f + expf(lse - external));
}

// Merges the sums of the warps and stores the thread block's queries: results, or those of a part.
template <int kTiles>
__device__ inline void store_merged(const FewQueryAttention& a, WarpSums<kTiles>& sums, float* shared, int first_query,
                                    int64_t first_row, int batch, int head, int part) {
  constexpr int kQueries = 16 * kTiles;
  float* outputs = shared;                                   // [warp][query][kRowStride]
  float* largest = shared + kWarps * kQueries * kRowStride;  // [warp][query]
  float* totals = largest + kWarps * kQueries;               // [warp][query]
  const int warp = int(threadIdx.x) / 32, g = int(threadIdx.x) % 32 / 4, t = int(threadIdx.x) % 4;
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int query = warp * kQueries + tile * 16 + half * 8 + g;
      float total = sums.total[tile][half];
      total += __shfl_xor_sync(0xffffffffu, total, 1);
      total += __shfl_xor_sync(0xffffffffu, total, 2);
      if (t == 0) {
        largest[query] = sums.largest[tile][half];
        totals[query] = total;
      }
      // Of each half of the row this thread has 16 neighboring elements: 8 of the even columns, then 8 of the odd ones.
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const int column = i / 4 * 8 + i % 2 * 4, odd = i % 4 / 2;
        *reinterpret_cast<float4*>(outputs + query * kRowStride + i / 4 * 64 + 16 * t + odd * 8 + i % 2 * 4) =
            make_float4(sums.output[tile][column][2 * half + odd], sums.output[tile][column + 1][2 * half + odd],
                        sums.output[tile][column + 2][2 * half + odd], sums.output[tile][column + 3][2 * half + odd]);
      }
    }
  }
  __syncthreads();
  const int queries = min(kQueries, int(a.queries) - first_query), lane = int(threadIdx.x) % 32;
  const int64_t rows = a.batch * a.heads * a.queries;
#pragma unroll
  for (int i = 0; i < kQueries / kWarps; ++i) {
    const int query = i * kWarps + warp;
    if (query >= queries) break;
    float most = -INFINITY;
#pragma unroll
    for (int other = 0; other < kWarps; ++other) most = fmaxf(most, largest[other * kQueries + query]);
    float total = 0, sum[4] = {};
#pragma unroll
    for (int other = 0; other < kWarps; ++other) {
      const float weight = exp2f(largest[other * kQueries + query] - finite(most));
      const float4 v = reinterpret_cast<const float4*>(outputs + (other * kQueries + query) * kRowStride)[lane];
      total += weight * totals[other * kQueries + query];
      sum[0] += weight * v.x, sum[1] += weight * v.y, sum[2] += weight * v.z, sum[3] += weight * v.w;
    }
    const float inverse = total > 0 ? 1.0f / total : 0.0f;
#pragma unroll
    for (float& x : sum) x *= inverse;
    const float lse = (most + log2f(total)) * kLn2;
    const int64_t row = first_row + query;  // of [batch, heads, queries]
    if (a.parts == 1) {
      const int64_t at = ((int64_t(batch) * a.queries + first_query + query) * a.heads + head) * kWidth + 4 * lane;
      const float weight = external_weight(a, row, lse);
      if (weight > 0) {
        const auto* external = static_cast<const __nv_bfloat16*>(a.external) + at;
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[j] += weight * (__bfloat162float(external[j]) - sum[j]);
      }
      *reinterpret_cast<uint2*>(static_cast<__nv_bfloat16*>(a.output) + at) =
          make_uint2(packed_bfloat16(sum[0], sum[1]), packed_bfloat16(sum[2], sum[3]));
      if (lane == 0 && a.lse) a.lse[row] = lse;
    } else {
      const int64_t at = part * rows + row;
      reinterpret_cast<float4*>(a.partial + at * kWidth)[lane] = make_float4(sum[0], sum[1], sum[2], sum[3]);
      if (lane == 0) a.partial[a.parts * rows * kWidth + at] = lse;
    }
  }
}

// blockIdx.x: part and, fastest, tiles of queries, so that those that read the same keys run at the same time; .y: head
// and text.
template <int kTiles>
__global__ void __launch_bounds__(kThreads, 2)
    few_query_kernel(const __grid_constant__ FewQueryAttention a, int query_blocks) {
  extern __shared__ __align__(16) unsigned char shared[];
  uint4* ring = reinterpret_cast<uint4*>(shared) + threadIdx.x;  // [stage][vector][thread]
  const int warp = int(threadIdx.x) / 32, g = int(threadIdx.x) % 32 / 4, t = int(threadIdx.x) % 4;
  const int part = int(blockIdx.x) / query_blocks, first_query = int(blockIdx.x) % query_blocks * 16 * kTiles;
  const int head = int(blockIdx.y % unsigned(a.heads)), batch = int(blockIdx.y / unsigned(a.heads));
  const KeyPart keys = key_part(a, part);
  const __nv_bfloat16* k = rows_of(a.k, batch, head) + 8 * t;
  const __nv_bfloat16* v = rows_of(a.v, batch, head) + 8 * g;

  int fetching = keys.begin + warp * kKeys;
  const auto fetch = [&](int stage) {
    if (fetching < keys.end) {
      uint4* to = ring + stage * kVectors * kThreads;
#pragma unroll
      for (int eight = 0; eight < 2; ++eight) {
        const int key = fetching + eight * 8 + g;
        const bool wanted = key < keys.end;
        const __nv_bfloat16* from = k + (wanted ? key : fetching) * a.k.row_stride;
#pragma unroll
        for (int i = 0; i < 4; ++i) begin_copy(to + (eight * 4 + i) * kThreads, from + 32 * i, wanted);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = fetching + i / 2 * 8 + 2 * t + i % 2;
        const bool wanted = key < keys.end;
        const __nv_bfloat16* from = v + (wanted ? key : fetching) * a.v.row_stride;
        begin_copy(to + (8 + i) * kThreads, from, wanted);
        begin_copy(to + (12 + i) * kThreads, from + 64, wanted);
      }
      fetching += kWarps * kKeys;
    }
    end_copy_group();
  };

  allow_next_kernel();
  wait_for_kernels_in_front();
#pragma unroll
  for (int stage = 0; stage < kStages; ++stage) fetch(stage);
  uint4 q[kTiles][2][4];
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int query = first_query + tile * 16 + half * 8 + g;
      const auto* from = reinterpret_cast<const uint4*>(rows_of(a.q, batch, head) + query * a.q.row_stride) + t;
#pragma unroll
      for (int i = 0; i < 4; ++i) q[tile][half][i] = query < a.queries ? from[4 * i] : make_uint4(0, 0, 0, 0);
    }
  }

  WarpSums<kTiles> sums;
  const float scale_log2 = a.scale / kLn2;
  int stage = 0;
  for (int key = keys.begin + warp * kKeys; key < keys.end; key += kWarps * kKeys) {
    wait_for_copies<kStages - 1>();
    const SeenKeys seen{keys.end - key, int(a.hidden_keys) - key, int(a.late_query) - first_query};
    add_keys(sums, q, ring + stage * kVectors * kThreads, seen, scale_log2);
    fetch(stage);
    stage = stage + 1 == kStages ? 0 : stage + 1;
  }
  wait_for_copies<0>();
  __syncthreads();  // the ring is used no more
  const int64_t first_row = (int64_t(batch) * a.heads + head) * a.queries + first_query;
  store_merged(a, sums, reinterpret_cast<float*>(shared), first_query, first_row, batch, head, part);
}

// Merges the parts of a row, one thread an element; 16 parts are loaded at a time.
__global__ void __launch_bounds__(kWidth, 8) merge_parts_kernel(const __grid_constant__ FewQueryAttention a) {
  constexpr int kLoaded = 16;
  allow_next_kernel();
  wait_for_kernels_in_front();
  const int64_t rows = a.batch * a.heads * a.queries, row = blockIdx.x;
  const float* all_lse = a.partial + a.parts * rows * kWidth;
  float most = -INFINITY, total = 0, sum = 0;
  for (int first = 0; first < a.parts; first += kLoaded) {
    float lse[kLoaded], x[kLoaded], larger = most;
#pragma unroll
    for (int i = 0; i < kLoaded; ++i) {
      const int64_t at = (first + i) * rows + row;
      const bool exists = first + i < a.parts;
      lse[i] = exists ? all_lse[at] : -INFINITY;
      x[i] = exists ? a.partial[at * kWidth + threadIdx.x] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < kLoaded; ++i) larger = fmaxf(larger, lse[i]);
    const float kept = expf(most - finite(larger));
    total *= kept;
    sum *= kept;
    most = larger;
#pragma unroll
    for (int i = 0; i < kLoaded; ++i) {
      const float weight = expf(lse[i] - finite(most));
      total += weight;
      sum += weight * x[i];
    }
  }
  const int64_t query = row % a.queries, head = row / a.queries % a.heads, batch = row / a.queries / a.heads;
  const int64_t at = ((batch * a.queries + query) * a.heads + head) * kWidth + threadIdx.x;
  const float lse = most + logf(total);
  sum /= total;
  const float weight = external_weight(a, row, lse);
  if (weight > 0) sum += weight * (__bfloat162float(static_cast<const __nv_bfloat16*>(a.external)[at]) - sum);
  static_cast<__nv_bfloat16*>(a.output)[at] = __float2bfloat16_rn(sum);
  if (threadIdx.x == 0 && a.lse) a.lse[row] = lse;
}

int tiles_for(int64_t queries) { return queries <= 16 ? 1 : 2; }

int query_blocks(int64_t queries) {
  const int per_block = 16 * tiles_for(queries);
  return int((queries + per_block - 1) / per_block);
}

template <int kTiles>
cudaError_t launch_tiles(const FewQueryAttention& a, cudaStream_t stream) {
  constexpr auto kKernel = few_query_kernel<kTiles>;
  const cudaError_t allowed = allow_shared_bytes<kKernel>(shared_bytes(kTiles));
  if (allowed != cudaSuccess) return allowed;
  const int blocks = query_blocks(a.queries);
  const dim3 grid(static_cast<unsigned>(a.parts * blocks), static_cast<unsigned>(a.batch * a.heads));
  return launch_dependent(kKernel, grid, kThreads, shared_bytes(kTiles), stream, a, blocks);
}

}  // namespace few_query_attention_cu

int few_query_parts(int64_t batch, int64_t heads, int64_t queries, int64_t keys, int processors) {
  constexpr int64_t kLeastKeys = 64;  // of a part: a stage of each warp
  const int64_t blocks = batch * heads * query_blocks(queries), slots = 2 * int64_t(processors);
  const int64_t most = std::max<int64_t>(1, std::min(keys / kLeastKeys, 2 * slots / blocks));
  const auto cost = [&](int64_t parts) { return double((blocks * parts + slots - 1) / slots) / double(parts); };
  int64_t best = 1;
  for (int64_t parts = 2; parts <= most; ++parts)
    if (cost(parts) < 0.97 * cost(best)) best = parts;
  return int(best);
}

cudaError_t launch_few_query_attention(const FewQueryAttention& a, cudaStream_t stream) {
  const cudaError_t status = tiles_for(a.queries) == 1 ? launch_tiles<1>(a, stream) : launch_tiles<2>(a, stream);
  if (status != cudaSuccess || a.parts == 1) return status;
  return launch_dependent(merge_parts_kernel, dim3(static_cast<unsigned>(a.rows())), kWidth, 0, stream, a);
}

}  // namespace flashblock
