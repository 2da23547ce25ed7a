#include <cuda_bf16.h>

#include <cmath>
#include <cstring>

#include "core/kernels/dependent_launch.cuh"
#include "language/kernels/greedy_tokens.h"

namespace flashblock {
inline namespace greedy_tokens_cu {

using namespace kernels;

constexpr int kThreads = 256;
constexpr float kLow = -1e30f;  // below all logits, and finite

/// Of some of a row's logits.
struct alignas(16) Found {
  float largest = kLow;    // of all
  float total = 0;         // of exp(x - largest)
  float moment = 0;        // of exp(x - largest) (x - largest)
  float chosen = kLow;     // the largest that may be chosen
  int token = 0x7fffffff;  // the first one that has it

  __device__ void move_to(float larger) {
    const float by = largest - larger, kept = expf(by);
    moment = (moment + total * by) * kept;
    total *= kept;
    largest = larger;
  }
  __device__ void choose(float x, int candidate) {
    if (x > chosen || (x == chosen && candidate < token)) chosen = x, token = candidate;
  }
  __device__ void add(Found other) {
    const float larger = fmaxf(largest, other.largest);
    move_to(larger);
    other.move_to(larger);
    total += other.total;
    moment += other.moment;
    choose(other.chosen, other.token);
  }
};
static_assert(sizeof(Found) * kGreedyParts == kGreedyPartialBytes);

__device__ Found found_by_warp(Found own) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    Found other;
    other.largest = __shfl_xor_sync(0xffffffffu, own.largest, offset);
    other.total = __shfl_xor_sync(0xffffffffu, own.total, offset);
    other.moment = __shfl_xor_sync(0xffffffffu, own.moment, offset);
    other.chosen = __shfl_xor_sync(0xffffffffu, own.chosen, offset);
    other.token = __shfl_xor_sync(0xffffffffu, own.token, offset);
    own.add(other);
  }
  return own;
}

// blockIdx.x: part of a row, .y: row.
__global__ void __launch_bounds__(kThreads) search_part_kernel(GreedyTokens a) {
  allow_next_kernel();
  wait_for_kernels_in_front();
  const auto* logits =
      reinterpret_cast<const uint4*>(static_cast<const __nv_bfloat16*>(a.logits) + blockIdx.y * a.vocabulary);
  const int vectors = int(a.vocabulary / 8), end = int(int64_t(vectors) * (blockIdx.x + 1) / kGreedyParts);
  Found own;
  for (int at = int(int64_t(vectors) * blockIdx.x / kGreedyParts) + int(threadIdx.x); at < end; at += kThreads) {
    const uint4 raw = logits[at];
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
    float x[8], larger = own.largest;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      x[i] = __uint_as_float(i % 2 ? words[i / 2] & 0xffff0000u : words[i / 2] << 16) / a.temperature;
      larger = fmaxf(larger, x[i]);
    }
    own.move_to(larger);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float by = x[i] - larger, weight = expf(by);
      own.total += weight;
      own.moment += weight > 0 ? weight * by : 0.0f;
      if (at * 8 + i != a.never) own.choose(x[i], at * 8 + i);
    }
  }
  own = found_by_warp(own);
  __shared__ Found of_warp[kThreads / 32];
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = own;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  own = found_by_warp(threadIdx.x < kThreads / 32 ? of_warp[threadIdx.x] : Found());
  if (threadIdx.x == 0) static_cast<Found*>(a.partial)[blockIdx.y * kGreedyParts + blockIdx.x] = own;
}

// One warp a row.
__global__ void __launch_bounds__(32) merge_found_kernel(GreedyTokens a) {
  static_assert(kGreedyParts == 32);
  allow_next_kernel();
  wait_for_kernels_in_front();
  const int64_t row = blockIdx.x;
  const Found all = found_by_warp(static_cast<const Found*>(a.partial)[row * kGreedyParts + threadIdx.x]);
  if (threadIdx.x != 0) return;
  a.results[row] = all.token < a.vocabulary ? all.token : 0;
  a.results[a.rows + row] = expf(all.chosen - all.largest) / all.total;
  a.results[2 * a.rows + row] = logf(all.total) - all.moment / all.total;
}

}  // namespace greedy_tokens_cu

cudaError_t launch_greedy_tokens(const GreedyTokens& a, cudaStream_t stream) {
  const dim3 blocks(kGreedyParts, static_cast<unsigned>(a.rows));
  const cudaError_t status = launch_dependent(search_part_kernel, blocks, kThreads, 0, stream, a);
  if (status != cudaSuccess) return status;
  return launch_dependent(merge_found_kernel, dim3(static_cast<unsigned>(a.rows)), 32, 0, stream, a);
}

}  // namespace flashblock
