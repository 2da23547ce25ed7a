#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>

#include "attention/kernels/few_query_attention.h"
#include "core/kernels/dependent_launch.cuh"
#include "core/kernels/tensor_core.cuh"

namespace flashblock {
namespace {

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

// Adds 16 keys, of which `valid` count, from a stage of the ring.
template <int kTiles>
__device__ inline void add_keys(WarpSums<kTiles>& sums, const uint4 (&q)[kTiles][2][4], const uint4* stage, int valid,
                                float scale_log2) {
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
      float x[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = i / 2 * 8 + 2 * t + i % 2;
        x[i] = key < valid ? scores[tile][i / 2][2 * half + i % 2] * scale_log2 : -INFINITY;
      }
      float largest = fmaxf(fmaxf(x[0], x[1]), fmaxf(x[2], x[3]));
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
      largest = fmaxf(largest, sums.largest[tile][half]);
      const float kept = exp2f(sums.largest[tile][half] - largest);
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
        x[i] = exp2f(x[i] - largest);
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
#pragma unroll
      for (int column = 0; column < 16; ++column) {
        float* to = outputs + query * kRowStride + column / 8 * 64 + 16 * t + column % 8;
        to[0] = sums.output[tile][column][2 * half];
        to[8] = sums.output[tile][column][2 * half + 1];
      }
    }
  }
  __syncthreads();
  const int queries = min(kQueries, int(a.queries) - first_query), column = int(threadIdx.x);
  for (int query = 0; query < queries; ++query) {
    float most = -INFINITY;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) most = fmaxf(most, largest[i * kQueries + query]);
    float total = 0, sum = 0;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) {
      const float weight = exp2f(largest[i * kQueries + query] - most);
      total += weight * totals[i * kQueries + query];
      sum += weight * outputs[(i * kQueries + query) * kRowStride + column];
    }
    const float lse = (most + log2f(total)) * kLn2;
    const int64_t row = first_row + query;  // of [batch, heads, queries]
    if (a.parts == 1) {
      const int64_t at = ((int64_t(batch) * a.queries + first_query + query) * a.heads + head) * kWidth + column;
      static_cast<__nv_bfloat16*>(a.output)[at] = __float2bfloat16_rn(sum / total);
      if (column == 0) a.lse[row] = lse;
    } else {
      const int64_t at = part * a.batch * a.heads * a.queries + row;
      a.partial[at * kWidth + column] = sum / total;
      if (column == 0) a.partial[a.parts * a.batch * a.heads * a.queries * kWidth + at] = lse;
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
    add_keys(sums, q, ring + stage * kVectors * kThreads, keys.end - key, scale_log2);
    fetch(stage);
    stage = stage + 1 == kStages ? 0 : stage + 1;
  }
  wait_for_copies<0>();
  __syncthreads();  // the ring is used no more
  const int64_t first_row = (int64_t(batch) * a.heads + head) * a.queries + first_query;
  store_merged(a, sums, reinterpret_cast<float*>(shared), first_query, first_row, batch, head, part);
}

// Merges the parts of a row, one thread an element.
__global__ void __launch_bounds__(kWidth) merge_parts_kernel(const __grid_constant__ FewQueryAttention a) {
  allow_next_kernel();
  wait_for_kernels_in_front();
  const int64_t rows = a.batch * a.heads * a.queries, row = blockIdx.x;
  const float* lse = a.partial + a.parts * rows * kWidth;
  float most = -INFINITY;
#pragma unroll 8
  for (int part = 0; part < a.parts; ++part) most = fmaxf(most, lse[part * rows + row]);
  float total = 0, sum = 0;
#pragma unroll 8
  for (int part = 0; part < a.parts; ++part) {
    const float weight = expf(lse[part * rows + row] - most);
    total += weight;
    sum += weight * a.partial[(part * rows + row) * kWidth + threadIdx.x];
  }
  const int64_t query = row % a.queries, head = row / a.queries % a.heads, batch = row / a.queries / a.heads;
  static_cast<__nv_bfloat16*>(a.output)[((batch * a.queries + query) * a.heads + head) * kWidth + threadIdx.x] =
      __float2bfloat16_rn(sum / total);
  if (threadIdx.x == 0) a.lse[row] = most + logf(total);
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

}  // namespace

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
