#include <cooperative_groups.h>
#include <cuda_bf16.h>

#include "attention/kernels/float8.cuh"
#include "attention/kernels/hopper_attention_quantise.h"
#include "attention/kernels/vector8.cuh"

// Note "Quantisation", docs/numerics.md: scores are products of 8-bit integers, summed exactly; the output is a product
// of e4m3 numbers. Of 32 keys that follow one another, a lane of the score product holds keys 8 j + 2 q + e, with q its
// number among four lanes; the product with the values needs four neighbouring keys in a lane. Values are therefore
// stored in another order of keys, key 8 j + 2 q + e at place 16 (j / 2) + 4 q + 2 (j % 2) + e, and no lanes exchange
// anything. In the same way the channels of the values are stored so that a lane of the result holds eight neighbouring
// channels: of 32 rows, row 8 j + 2 q + e is channel 8 q + 2 j + e.

namespace flashblock {
inline namespace hopper_attention_quantise_cu {

using namespace int8_attention;

constexpr int kSlices = 8, kSampleThreads = 256, kQuantiseThreads = kKeys / 4 * 16;

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr float kLog2E = 1.4426950408889634f;

/// The row of a head, heads counted over the batch.
__device__ const __nv_bfloat16* row_of(const Strided& x, int heads, int all_head, int64_t token) {
  const int64_t batch = all_head / heads, head = all_head % heads;
  return x.data + batch * x.strides.batch + token * x.strides.token + head * x.strides.head;
}

__device__ float larger(float x, float y) {  // NaN if one of them is
  float larger;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(x), "f"(y));
  return larger;
}

/// 2^e that brings numbers of this root mean square to 8 to 16.
__device__ float value_scale(float rms) {
  const int exponent = int(__float_as_uint(rms) >> 23);
  return exponent < 27 || exponent > 227 ? 1.0f : __uint_as_float(unsigned(257 - exponent) << 23);
}

#endif

/// Means over the sampled keys and values of a head, by channel, and the scales of the values. Grid: a cluster of
/// kSlices thread blocks, each for a slice of the samples; heads; 2 (keys, values).
__global__ void __launch_bounds__(kSampleThreads) sample_kernel(const __grid_constant__ Quantisation a) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  constexpr int kRowsAtOnce = kSampleThreads / 16;
  const int lane = threadIdx.x % 16, group = threadIdx.x / 16, all_head = blockIdx.y;
  const Strided& from = blockIdx.z == 0 ? a.k : a.v;
  float sum[8] = {}, squares[8] = {};
  const int end = (blockIdx.x + 1) * a.samples / kSlices;
#pragma unroll 8
  for (int i = blockIdx.x * a.samples / kSlices + group; i < end; i += kRowsAtOnce) {
    const Vector8 x = load8(row_of(from, a.heads, all_head, int64_t(i) * a.keys / a.samples) + 8 * lane);
#pragma unroll
    for (int j = 0; j < 8; ++j) sum[j] += x.x[j], squares[j] = fmaf(x.x[j], x.x[j], squares[j]);
  }
  __shared__ float partial[2][kRowsAtOnce][kWidth], of_slice[2][kWidth];
#pragma unroll
  for (int j = 0; j < 8; ++j) partial[0][group][8 * lane + j] = sum[j], partial[1][group][8 * lane + j] = squares[j];
  __syncthreads();
  const int which = threadIdx.x / kWidth, channel = threadIdx.x % kWidth;
  float total = 0;
#pragma unroll
  for (int i = 0; i < kRowsAtOnce; ++i) total += partial[which][i][channel];
  of_slice[which][channel] = total;
  const auto cluster = cooperative_groups::this_cluster();
  cluster.sync();
  if (blockIdx.x == 0 && which == 0) {
    float means[2] = {};
#pragma unroll
    for (int i = 0; i < kSlices; ++i)
#pragma unroll
      for (int n = 0; n < 2; ++n) means[n] += *cluster.map_shared_rank(&of_slice[n][channel], i);
    const float mean = __fdiv_rn(means[0], float(a.samples)), square = __fdiv_rn(means[1], float(a.samples));
    const int at = all_head * kWidth + channel;
    (blockIdx.z == 0 ? a.k_means : a.v_means)[at] = mean;
    // No less than what bfloat16 resolves.
    const float rms = larger(sqrtf(fmaxf(fmaf(-mean, mean, square), 0.0f)), fabsf(mean) * (1.0f / 256));
    if (blockIdx.z == 1) a.v_factors[at] = value_scale(rms);
  }
  cluster.sync();  // the others' shared memory is read until here
  if (blockIdx.x + blockIdx.y + blockIdx.z == 0)
    for (int i = threadIdx.x; i < a.arrival_count; i += kSampleThreads) a.arrivals[i] = 0;
#endif
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ float row_scale(float largest) { return __fmul_rn(largest, 1.0f / 127.0f); }
__device__ float inverse_row_scale(float largest) { return largest == 0 ? 0 : __fdiv_rn(127.0f, largest); }

/// Eight numbers as integers.
__device__ uint2 quantised(const Vector8& x, float inverse_scale) {
  // Adding 1.5 * 2^23 rounds to an integer, whose last byte is that of the sum.
  unsigned bits[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) bits[i] = __float_as_uint(__fadd_rn(__fmul_rn(x.x[i], inverse_scale), 12582912.0f));
  const auto last_bytes = [&](int i) {
    const unsigned low = __byte_perm(bits[i], bits[i + 1], 0x0040);
    return __byte_perm(low, __byte_perm(bits[i + 2], bits[i + 3], 0x0040), 0x5410);
  };
  return make_uint2(last_bytes(0), last_bytes(4));
}

/// Of 16 neighbouring threads, which share rows: eight channels of four rows, those of `token(n)`; zeros from `end` on.
template <typename Token>
__device__ __forceinline__ void load_rows(Vector8 (&x)[4], const Strided& from, const Quantisation& a, int end,
                                          Token token) {
  const __nv_bfloat16* head = row_of(from, a.heads, blockIdx.y, 0) + threadIdx.x % 16 * 8;
#pragma unroll
  for (int n = 0; n < 4; ++n) {
    x[n] = {};
    if (token(n) < end) x[n] = load8(head + token(n) * from.strides.token);
  }
}

/// A block of keys of a head, with one scale.
__device__ __forceinline__ void quantise_keys(const Quantisation& a, int block) {
  const int lane = threadIdx.x % 16, group = threadIdx.x / 16, all_head = blockIdx.y;
  const Vector8 mean = load8(a.k_means + all_head * kWidth + 8 * lane);
  const auto row_at = [&](int n) { return n * (kKeys / 4) + group; };
  const auto key_of = [&](int n) { return block * kKeys + row_at(n); };
  Vector8 x[4];
  load_rows(x, a.k, a, a.keys, key_of);
  float largest = 0;
#pragma unroll
  for (int n = 0; n < 4; ++n)
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      x[n].x[j] = key_of(n) < a.keys ? x[n].x[j] - mean.x[j] : 0;
      largest = larger(largest, fabsf(x[n].x[j]));
    }
  __shared__ float of_warp[kQuantiseThreads / 32];
  // Bits of numbers that are not negative are ordered as they are, and NaN is above all of them.
  largest = __uint_as_float(__reduce_max_sync(0xffffffffu, __float_as_uint(largest)));
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = largest;
  __syncthreads();
#pragma unroll
  for (float other : of_warp) largest = larger(largest, other);
  const float inverse = inverse_row_scale(largest);
  if (threadIdx.x == 0) a.k_scales[int64_t(all_head) * a.key_blocks + block] = row_scale(largest);
  uint8_t* to = a.kv8 + (int64_t(all_head) * a.key_blocks + block) * 2 * kBlockBytes;
#pragma unroll
  for (int n = 0; n < 4; ++n)
    *reinterpret_cast<uint2*>(to + (lane / 2 * kKeys + row_at(n)) * 16 + lane % 2 * 8) = quantised(x[n], inverse);
}

/// A block of values of a head, transposed.
__device__ __forceinline__ void quantise_values(const Quantisation& a, int block) {
  __shared__ uint32_t words[kKeys / 16][kWidth][4];
  const int lane = threadIdx.x % 16, word = threadIdx.x / 16, all_head = blockIdx.y;
  const Vector8 mean = load8(a.v_means + all_head * kWidth + 8 * lane);
  const Vector8 scale = load8(a.v_factors + all_head * kWidth + 8 * lane);
  const int first = word / 8 * 32 + word % 8 / 4 * 16 + word % 4 * 2;  // by the note: j = 2 (word % 8 / 4), e = 0
  const auto key_of = [&](int n) { return block * kKeys + first + n / 2 * 8 + n % 2; };
  Vector8 x[4];
  load_rows(x, a.v, a, a.keys, key_of);
#pragma unroll
  for (int j = 0; j < 8; ++j) {
#pragma unroll
    for (int n = 0; n < 4; ++n) x[n].x[j] = key_of(n) < a.keys ? (x[n].x[j] - mean.x[j]) * scale.x[j] : 0;
    const int row = lane / 4 * 32 + j / 2 * 8 + lane % 4 * 2 + j % 2;
    words[word / 4][row ^ (row / 32 % 2)][word % 4] = four_float8(x[0].x[j], x[1].x[j], x[2].x[j], x[3].x[j]);
  }
  __syncthreads();
  uint4* to = reinterpret_cast<uint4*>(a.kv8 + ((int64_t(all_head) * a.key_blocks + block) * 2 + 1) * kBlockBytes);
  for (int i = threadIdx.x; i < kKeys / 16 * kWidth; i += kQuantiseThreads)
    to[i] = *reinterpret_cast<const uint4*>(words[i / kWidth][i % kWidth ^ (i / 32 % 2)]);
}

/// kKeys rows of queries, each with a scale that includes log2(e) / sqrt(kWidth), and their products with the keys'
/// mean.
__device__ __forceinline__ void quantise_queries(const Quantisation& a, int block) {
  const float root = rsqrtf(float(kWidth));
  const int lane = threadIdx.x % 16, group = threadIdx.x / 16, all_head = blockIdx.y;
  const Vector8 mean = load8(a.k_means + all_head * kWidth + 8 * lane);
  const auto query_of = [&](int n) { return block * kKeys + n * (kKeys / 4) + group; };
  Vector8 x[4];
  load_rows(x, a.q, a, a.queries, query_of);
#pragma unroll
  for (int n = 0; n < 4; ++n) {
    float largest = 0, shift = 0;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      largest = larger(largest, fabsf(x[n].x[j]));
      shift = fmaf(x[n].x[j], mean.x[j], shift);
    }
#pragma unroll
    for (int offset = 8; offset > 0; offset /= 2) {
      largest = larger(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
      shift += __shfl_xor_sync(0xffffffffu, shift, offset);
    }
    const int query = query_of(n);
    if (query >= a.queries) continue;
    const int64_t row = int64_t(all_head) * a.padded_queries + query;
    uint8_t* unit = a.q8 + (row - query % kUnitQueries) * kWidth;
    *reinterpret_cast<uint2*>(unit + (lane / 2 * kUnitQueries + query % kUnitQueries) * 16 + lane % 2 * 8) =
        quantised(x[n], inverse_row_scale(largest));
    if (lane == 0) a.q_scales[row] = row_scale(largest) * (root * kLog2E), a.q_shifts[row] = shift * root;
  }
}

#endif

/// Grid: blocks of keys, of values, of queries; heads.
__global__ void __launch_bounds__(kQuantiseThreads, 3) quantise_kernel(const __grid_constant__ Quantisation a) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  const int block = blockIdx.x;
  if (block < a.key_blocks)
    quantise_keys(a, block);
  else if (block < 2 * a.key_blocks)
    quantise_values(a, block - a.key_blocks);
  else
    quantise_queries(a, block - 2 * a.key_blocks);
#endif
}

}  // namespace hopper_attention_quantise_cu

cudaError_t int8_attention::launch_quantisation(const Quantisation& n, cudaStream_t stream) {
  cudaLaunchAttribute cluster{.id = cudaLaunchAttributeClusterDimension};
  cluster.val.clusterDim.x = kSlices, cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(kSlices, unsigned(n.all_heads), 2), config.blockDim = kSampleThreads, config.stream = stream;
  config.attrs = &cluster, config.numAttrs = 1;
  const cudaError_t error = cudaLaunchKernelEx(&config, sample_kernel, n);
  if (error != cudaSuccess) return error;
  const int64_t blocks = 2 * int64_t(n.key_blocks) + (int64_t(n.queries) + kKeys - 1) / kKeys;
  quantise_kernel<<<dim3(unsigned(blocks), unsigned(n.all_heads)), kQuantiseThreads, 0, stream>>>(n);
  return cudaGetLastError();
}

}  // namespace flashblock
