#include <cooperative_groups.h>
#include <cuda_bf16.h>

#include <algorithm>
#include <climits>

#include "attention/kernels/hopper_attention.h"
#include "attention/kernels/vector8.cuh"
#include "core/kernels/hopper.cuh"

// Note "Quantisation", docs/numerics.md: scores are products of 8-bit integers, summed exactly; the output is a product
// of e4m3 numbers. Of 32 keys that follow one another, a lane of the score product holds keys 8 j + 2 q + e, with q its
// number among four lanes; the product with the values needs four neighbouring keys in a lane. Values are therefore
// stored in another order of keys, key 8 j + 2 q + e at place 16 (j / 2) + 4 q + 2 (j % 2) + e, and no lanes exchange
// anything. In the same way the channels of the values are stored so that a lane of the result holds eight neighbouring
// channels: of 32 rows, row 8 j + 2 q + e is channel 8 q + 2 j + e.

namespace flashblock {
inline namespace hopper_attention_cu {

namespace hopper = kernels::hopper;

constexpr int kWidth = kInt8AttentionWidth, kUnitQueries = 64, kSlices = 8;
constexpr int kGroups = 3;                         ///< warpgroups that compute
constexpr int kKeys = 96;                          ///< of a block; 128 in two groups, or 192, take longer
[[maybe_unused]] constexpr int kStepsSummed = 16;  ///< by the matrix units, before their sums are added in fp32

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// --- Quantisation -----------------------------------------------------------------------------------

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

constexpr int kSampleThreads = 256, kQuantiseThreads = kKeys / 4 * 16;
constexpr int kBlockBytes = kKeys * kWidth;  // of keys, or of values

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

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

__device__ __forceinline__ uint32_t four_float8(float a, float b, float c, float d) {
  uint32_t packed;
  asm("{\n.reg .b16 low, high;\ncvt.rn.satfinite.e4m3x2.f32 low, %2, %1;\ncvt.rn.satfinite.e4m3x2.f32 high, %4, %3;\n"
      "mov.b32 %0, {low, high};\n}\n"
      : "=r"(packed)
      : "f"(a), "f"(b), "f"(c), "f"(d));
  return packed;
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

// --- Attention --------------------------------------------------------------------------------------

// A tile is kGroups times 64 queries of a head; a step is a block of keys. One warp loads, a warpgroup computes 64
// queries. Each thread block takes whole tiles in turn as long as there is one for each thread block; the steps of the
// tiles that are left are divided evenly, and what thread blocks compute of a tile is merged by the one that ends last.

constexpr int kMaxShared = 227 * 1024, kAlignment = 1024, kBarrierBytes = 512;

/// Of a thread block, in this order: sums set aside, queries, steps in flight, barriers.
struct Shared {
  static constexpr int kStepBytes = 2 * kBlockBytes;
  static constexpr int kRows = kUnitQueries * kGroups, kQueryBytes = kRows * kWidth;
  static constexpr int kSumBytes = kRows * kWidth * int(sizeof(float));
  static constexpr int kInFlight = (kMaxShared - kAlignment - kBarrierBytes - kSumBytes - kQueryBytes) / kStepBytes;
  static constexpr int kBytes = kSumBytes + kQueryBytes + kInFlight * kStepBytes + kAlignment + kBarrierBytes;
  static_assert((2 * kInFlight + 2) * sizeof(uint64_t) <= kBarrierBytes);
};

struct Work {
  const uint8_t *q8, *kv8;
  int heads, queries, keys, padded_queries, query_tiles, steps;
  int rounds, rest_steps;  // whole tiles of each thread block; steps of all tiles that are left
  const float *q_scales, *q_shifts, *k_scales, *v_factors, *v_means;
  __nv_bfloat16* out;
  float* lse;
  float4* partial_sums;  // [slots, kGroups, 16, 128]
  float4* partial_rows;  // [slots, kGroups, 128]
  int* arrivals;         // [tiles left, kGroups]
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr float kHeadroom = 5, kMostExponent = 8.5f;  // of weights, as powers of two

/// Steps from `first` to `last` of a tile; of a whole tile `slot` is negative.
struct Part {
  int tile, first, last, slot, rest;
};

__device__ __forceinline__ int first_rest_step(const Work& w, int thread_block) {
  return int(int64_t(thread_block) * w.rest_steps / gridDim.x);
}

/// The parts of this thread block, in turn.
class Parts {
 public:
  __device__ explicit Parts(const Work& w)
      : at_(first_rest_step(w, blockIdx.x)), end_(first_rest_step(w, blockIdx.x + 1)) {}

  __device__ bool next(const Work& w, Part& part) {
    if (round_ < w.rounds) {
      part = {int(blockIdx.x) + round_++ * int(gridDim.x), 0, w.steps, -1, 0};
      return true;
    }
    if (at_ == end_) return false;
    const int rest = at_ / w.steps, first = at_ - rest * w.steps, last = min(w.steps, first + end_ - at_);
    const bool whole = first == 0 && last == w.steps;
    part = {w.rounds * int(gridDim.x) + rest, first, last, whole ? -1 : rest + int(blockIdx.x), rest};
    at_ += last - first;
    return true;
  }

 private:
  int round_ = 0, at_, end_;
};

struct Barriers {
  uint64_t *full, *empty, *full_queries, *empty_queries;
};

/// A place in the ring of steps in flight.
template <int kInFlight>
struct Slot {
  int index = 0, parity = 0;
  __device__ void advance() {
    if (++index == kInFlight) index = 0, parity ^= 1;
  }
};

__device__ __forceinline__ void load_parts(const Work& w, uint8_t* queries, uint8_t* steps, const Barriers& b) {
  using S = Shared;
  Slot<S::kInFlight> slot;
  Parts parts(w);
  Part part;
  for (int parity = 1; parts.next(w, part); parity ^= 1) {
    const int head = part.tile / w.query_tiles, row = part.tile % w.query_tiles * S::kRows;
    hopper::wait(b.empty_queries, parity);
    hopper::arrive_and_expect(b.full_queries, S::kQueryBytes);
    hopper::load_bytes(queries, w.q8 + (int64_t(head) * w.padded_queries + row) * kWidth, S::kQueryBytes,
                       b.full_queries);
    for (int step = part.first; step < part.last; ++step, slot.advance()) {
      hopper::wait(b.empty + slot.index, slot.parity ^ 1);
      hopper::arrive_and_expect(b.full + slot.index, S::kStepBytes);
      hopper::load_bytes(steps + slot.index * S::kStepBytes, w.kv8 + (int64_t(head) * w.steps + step) * S::kStepBytes,
                         S::kStepBytes, b.full + slot.index);
    }
  }
}

/// Waits for the other warps of the warpgroup.
__device__ __forceinline__ void sync_group(int group) { asm volatile("bar.sync %0, 128;" ::"r"(1 + group) : "memory"); }

/// Two rows of scores, those of a thread; index 0 is the one above.
struct Rows {
  float scale[2], base[2], sum[2], factor[2];
};

__device__ __forceinline__ float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// 2^e for a whole number e <= 0; 0 below the normal numbers.
__device__ __forceinline__ float exact_power_of_two(float e) {
  return e < -126 ? 0.0f : __int_as_float((int(e) + 127) << 23);
}

/// 2^(score - base) is the weight of a key. The base is a whole number; it grows when a weight would exceed
/// 2^kMostExponent, by which all weights so far shrink by `factor`. Returns whether a base of this warp has grown.
template <bool kMasked>
__device__ __forceinline__ bool raise_base(const int32_t (&scores)[kKeys / 2], Rows& r, float key_scale,
                                           int valid_keys) {
  valid_keys -= threadIdx.x % 4 * 2;
  int top[2][2] = {{INT_MIN, INT_MIN}, {INT_MIN, INT_MIN}};
#pragma unroll
  for (int j = 0; j < kKeys / 8; ++j)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int x = kMasked && 8 * j >= valid_keys ? INT_MIN : scores[4 * j + 2 * h];
      const int y = kMasked && 8 * j + 1 >= valid_keys ? INT_MIN : scores[4 * j + 2 * h + 1];
      top[h][j % 2] = __vimax3_s32(top[h][j % 2], x, y);
    }
  float high[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) high[h] = float(max(top[h][0], top[h][1])) * (r.scale[h] * key_scale);
  const bool grows = high[0] - r.base[0] > kMostExponent || high[1] - r.base[1] > kMostExponent;
  if (!__any_sync(0xffffffffu, grows)) return false;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    high[h] = fmaxf(high[h], __shfl_xor_sync(0xffffffffu, high[h], 1));
    high[h] = fmaxf(high[h], __shfl_xor_sync(0xffffffffu, high[h], 2));
    const float base = high[h] - r.base[h] > kMostExponent ? ceilf(high[h]) - kHeadroom : r.base[h];
    r.factor[h] = base == r.base[h] ? 1.0f : exact_power_of_two(r.base[h] - base);
    r.base[h] = base;
    r.sum[h] *= r.factor[h];
  }
  return true;
}

/// The weights, as e4m3 in the order of the product with the values: of four, i = 4 (j / 4) + 2 (j / 2 % 2) + h.
template <bool kMasked>
__device__ __forceinline__ void weigh(const int32_t (&scores)[kKeys / 2], uint32_t (&weights)[kKeys / 8], Rows& r,
                                      float key_scale, int valid_keys) {
  valid_keys -= threadIdx.x % 4 * 2;
  const float scale[2] = {r.scale[0] * key_scale, r.scale[1] * key_scale};
#pragma unroll
  for (int i = 0; i < kKeys / 8; ++i) {
    const int j = i / 4 * 4 + i % 4 / 2 * 2, h = i % 2;
    float four[4];
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      const float score = float(scores[4 * (j + n / 2) + 2 * h + n % 2]);
      four[n] = power_of_two(fmaf(score, scale[h], -r.base[h]));
      if (kMasked && 8 * (j + n / 2) + n % 2 >= valid_keys) four[n] = 0;
    }
    r.sum[h] += (four[0] + four[1]) + (four[2] + four[3]);
    weights[i] = four_float8(four[0], four[1], four[2], four[3]);
  }
}

/// What is added to the sums of a tile and what becomes of them.
__device__ __forceinline__ void store_tile(const Work& w, const Part& part, int first_row, const float (&sums)[64],
                                           const Rows& r) {
  const int head = part.tile / w.query_tiles, batch = head / w.heads, lane = threadIdx.x % 32;
  const int row = first_row + threadIdx.x % 128 / 32 * 16 + lane / 4;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int query = row + 8 * h;
    if (query >= w.queries) continue;
    const float inverse = __fdividef(1.0f, r.sum[h]);
    __nv_bfloat16* out = w.out + ((int64_t(batch) * w.queries + query) * w.heads + head % w.heads) * kWidth;
#pragma unroll
    for (int group = 0; group < kWidth / 32; ++group) {
      const int channel = group * 32 + lane % 4 * 8;
      const Vector8 scale = load8(w.v_factors + head * kWidth + channel);
      const Vector8 mean = load8(w.v_means + head * kWidth + channel);
      Vector8 y;
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const float sum = sums[4 * (4 * group + j) + 2 * h + e];
          // The scale is a power of two, whose inverse is exact.
          const float back = __uint_as_float(0x7F000000u - __float_as_uint(scale.x[2 * j + e]));
          y.x[2 * j + e] = fmaf(sum * inverse, back, mean.x[2 * j + e]);
        }
      store8(out + channel, y);
    }
    if (lane % 4 == 0)
      w.lse[int64_t(head) * w.queries + query] =
          (r.base[h] + __log2f(r.sum[h])) * kLn2 + w.q_shifts[int64_t(head) * w.padded_queries + query];
  }
}

/// Leaves a part of a tile in memory. The last one to arrive adds all of them up, in their order: then true.
__device__ __forceinline__ bool merge_parts(const Work& w, const Part& part, int group, float (&sums)[64], Rows& r,
                                            int* shared_arrivals) {
  const int thread = threadIdx.x % 128;
  const auto sums_at = [&](int slot) { return w.partial_sums + (int64_t(slot) * kGroups + group) * 16 * 128 + thread; };
  const auto rows_at = [&](int slot) { return w.partial_rows + (int64_t(slot) * kGroups + group) * 128 + thread; };
#pragma unroll
  for (int i = 0; i < 16; ++i)
    __stcg(sums_at(part.slot) + i * 128, make_float4(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]));
  __stcg(rows_at(part.slot), make_float4(r.base[0], r.base[1], r.sum[0], r.sum[1]));
  // The thread blocks that have steps of this tile. That of step s is the largest c with c rest_steps / grid < s + 1.
  const auto thread_block_of = [&](int step) { return int((int64_t(step + 1) * gridDim.x - 1) / w.rest_steps); };
  const int first = thread_block_of(part.rest * w.steps), last = thread_block_of((part.rest + 1) * w.steps - 1);
  const auto has_steps = [&](int c) { return first_rest_step(w, c) < first_rest_step(w, c + 1); };
  int expected = 0;
  for (int c = first; c <= last; ++c) expected += has_steps(c);
  __threadfence();
  sync_group(group);
  if (thread == 0) shared_arrivals[group] = atomicAdd(w.arrivals + part.rest * kGroups + group, 1);
  sync_group(group);
  const bool is_last = shared_arrivals[group] == expected - 1;
  sync_group(group);  // before the next part writes there
  if (!is_last) return false;
  __threadfence();
  float base[2] = {-INFINITY, -INFINITY};
  for (int c = first; c <= last; ++c) {
    if (!has_steps(c)) continue;
    const float4 rows = __ldcg(rows_at(part.rest + c));
    base[0] = fmaxf(base[0], rows.x), base[1] = fmaxf(base[1], rows.y);
  }
  r.sum[0] = r.sum[1] = 0;
#pragma unroll
  for (int i = 0; i < 64; ++i) sums[i] = 0;
  for (int c = first; c <= last; ++c) {
    if (!has_steps(c)) continue;
    const float4 rows = __ldcg(rows_at(part.rest + c));
    const float factor[2] = {exact_power_of_two(rows.x - base[0]), exact_power_of_two(rows.y - base[1])};
    r.sum[0] = fmaf(rows.z, factor[0], r.sum[0]), r.sum[1] = fmaf(rows.w, factor[1], r.sum[1]);
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const float4 four = __ldcg(sums_at(part.rest + c) + i * 128);
      sums[4 * i] = fmaf(four.x, factor[0], sums[4 * i]), sums[4 * i + 1] = fmaf(four.y, factor[0], sums[4 * i + 1]);
      sums[4 * i + 2] = fmaf(four.z, factor[1], sums[4 * i + 2]);
      sums[4 * i + 3] = fmaf(four.w, factor[1], sums[4 * i + 3]);
    }
  }
  r.base[0] = base[0], r.base[1] = base[1];
  return true;
}

__device__ __forceinline__ void attend_parts(const Work& w, float4* set_aside, const uint8_t* queries,
                                             const uint8_t* steps, const Barriers& b, int* shared_arrivals) {
  using S = Shared;
  // What a warp has in common is taken from one lane, so that the compiler keeps it once.
  const auto common = [](auto x) { return __shfl_sync(0xffffffffu, x, 0); };
  const int group = common(int(threadIdx.x) / 128 - 1), thread = threadIdx.x % 128;
  const bool speaks = thread == 0;
  const uint64_t rows = hopper::matrix_columns_of_16_bytes(
      common(hopper::shared_address(queries)) + group * kUnitQueries * kWidth, kUnitQueries);
  const uint64_t first_keys = hopper::matrix_columns_of_16_bytes(common(hopper::shared_address(steps)), kKeys);
  const uint64_t first_values =
      hopper::matrix_columns_of_16_bytes(common(hopper::shared_address(steps)) + kBlockBytes, kWidth);
  set_aside += group * 16 * 128 + thread;
  Slot<S::kInFlight> slot;
  Parts parts(w);
  Part part;
  for (int parity = 0; parts.next(w, part); parity ^= 1) {
    const int head = part.tile / w.query_tiles, first_row = part.tile % w.query_tiles * S::kRows + group * kUnitQueries;
    const float* key_scales = w.k_scales + int64_t(head) * w.steps;
    Rows r;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int query = first_row + thread / 32 * 16 + thread % 32 / 4 + 8 * h;
      r.scale[h] = query < w.queries ? w.q_scales[int64_t(head) * w.padded_queries + query] : 0;
      r.base[h] = -INFINITY, r.sum[h] = 0;
    }
    int32_t scores[kKeys / 2];
    float sums[64];
    uint32_t weights[kKeys / 8];
#pragma unroll
    for (int i = 0; i < 64; ++i) sums[i] = 0;
    // Descriptors count in 16 bytes.
    const auto multiply_keys = [&](int index) {
      const uint64_t keys = first_keys + uint32_t(index * (S::kStepBytes / 16));
#pragma unroll
      for (int d = 0; d < kWidth / 16; d += 2)
        hopper::Int8Product<kKeys>::add(scores, rows + d * kUnitQueries, keys + d * kKeys, d > 0);
      hopper::commit_products();
    };
    const auto multiply_values = [&](int index) {
      const uint64_t values = first_values + uint32_t(index * (S::kStepBytes / 16));
#pragma unroll
      for (int k = 0; k < kKeys / 32; ++k)
        hopper::Float8Product<kWidth>::add(sums, weights + 4 * k, values + 2 * k * kWidth);
      hopper::commit_products();
    };

    // Sums so far: the matrix units truncate what is far below the sum that they add it to.
    int since = 0;
#pragma unroll
    for (int i = 0; i < 16; ++i) set_aside[i * 128] = make_float4(0, 0, 0, 0);
    const auto put_aside = [&] {
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        const float4 aside = set_aside[i * 128];
        set_aside[i * 128] = make_float4(aside.x + sums[4 * i], aside.y + sums[4 * i + 1], aside.z + sums[4 * i + 2],
                                         aside.w + sums[4 * i + 3]);
        sums[4 * i] = sums[4 * i + 1] = sums[4 * i + 2] = sums[4 * i + 3] = 0;
      }
      since = 0;
    };
    const auto shrink = [&] {
#pragma unroll
      for (int i = 0; i < 64; ++i) sums[i] *= r.factor[i % 4 / 2];
#pragma unroll 4
      for (int i = 0; i < 16; ++i) {
        const float4 aside = set_aside[i * 128];
        set_aside[i * 128] =
            make_float4(aside.x * r.factor[0], aside.y * r.factor[0], aside.z * r.factor[1], aside.w * r.factor[1]);
      }
    };

    float key_scale = __ldg(key_scales + part.first);
    hopper::wait(b.full_queries, parity);
    hopper::wait(b.full + slot.index, slot.parity);
    hopper::begin_products();
    multiply_keys(common(slot.index));
    hopper::wait_for_products<0>();
    for (int step = part.first;;) {
      const int valid = w.keys - step * kKeys;
      hopper::wait_for_products<1>();  // the scores are there, the sums need not be
      const bool grown = valid < kKeys ? raise_base<true>(scores, r, key_scale, valid)
                                       : raise_base<false>(scores, r, key_scale, valid);
      hopper::wait_for_products<0>();
      if (step > part.first) {
        const int before = slot.index == 0 ? S::kInFlight - 1 : slot.index - 1;
        if (speaks) hopper::arrive(b.empty + before);
        if (++since == kStepsSummed) put_aside();
        if (grown) shrink();
      }
      if (valid < kKeys)
        weigh<true>(scores, weights, r, key_scale, valid);
      else
        weigh<false>(scores, weights, r, key_scale, valid);
      if (++step == part.last) break;
      key_scale = __ldg(key_scales + step);
      const int index = common(slot.index);
      slot.advance();
      hopper::wait(b.full + slot.index, slot.parity);
      hopper::begin_products();
      multiply_keys(common(slot.index));
      multiply_values(index);
    }
    if (speaks) hopper::arrive(b.empty_queries);
    hopper::begin_products();
    multiply_values(common(slot.index));
    hopper::wait_for_products<0>();
    if (speaks) hopper::arrive(b.empty + slot.index);
    slot.advance();
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const float4 aside = set_aside[i * 128];
      sums[4 * i] += aside.x, sums[4 * i + 1] += aside.y, sums[4 * i + 2] += aside.z, sums[4 * i + 3] += aside.w;
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      r.sum[h] += __shfl_xor_sync(0xffffffffu, r.sum[h], 1);
      r.sum[h] += __shfl_xor_sync(0xffffffffu, r.sum[h], 2);
    }
    if (part.slot < 0 || merge_parts(w, part, group, sums, r, shared_arrivals)) store_tile(w, part, first_row, sums, r);
  }
}

#endif

__global__ void __launch_bounds__(128 * (kGroups + 1), 1) int8_attention_kernel(const __grid_constant__ Work w) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using S = Shared;
  extern __shared__ uint8_t shared[];
  __shared__ int shared_arrivals[kGroups];
  uint8_t* set_aside =
      reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(shared) + kAlignment - 1) / kAlignment * kAlignment);
  uint8_t* queries = set_aside + S::kSumBytes;
  uint8_t* steps = queries + S::kQueryBytes;
  uint64_t* barriers = reinterpret_cast<uint64_t*>(steps + S::kInFlight * S::kStepBytes);
  const Barriers b{barriers, barriers + S::kInFlight, barriers + 2 * S::kInFlight, barriers + 2 * S::kInFlight + 1};
  if (threadIdx.x == 0) {
    for (int i = 0; i < S::kInFlight; ++i)
      hopper::init_barrier(b.full + i, 1), hopper::init_barrier(b.empty + i, kGroups);
    hopper::init_barrier(b.full_queries, 1), hopper::init_barrier(b.empty_queries, kGroups);
    hopper::publish_barriers();
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    hopper::give_registers_back<kGroups == 3 ? 32 : 40>();
    if (threadIdx.x == 0) load_parts(w, queries, steps, b);
  } else {
    hopper::take_registers<kGroups == 3 ? 160 : 232>();
    attend_parts(w, reinterpret_cast<float4*>(set_aside), queries, steps, b, shared_arrivals);
  }
#endif
}

/// The parts of the workspace, one after the other.
class Workspace {
 public:
  explicit Workspace(void* memory) : next_(static_cast<uint8_t*>(memory)), begin_(next_) {}

  template <typename T>
  T* take(int64_t count) {
    T* result = reinterpret_cast<T*>(next_);
    next_ += divide_up(count * int64_t(sizeof(T)), 256) * 256;
    return result;
  }
  int64_t bytes() const { return next_ - begin_; }

 private:
  uint8_t *next_, *begin_;
};

struct Plan {
  Quantisation quantisation;
  Work work;
  int grid;
  int64_t bytes;
};

Plan plan_of(const Int8AttentionArguments& a) {
  const auto strided = [](const void* data, const Int8AttentionStrides& strides) {
    return Strided{static_cast<const __nv_bfloat16*>(data), strides};
  };
  constexpr int kRows = Shared::kRows;
  const int64_t heads = a.batch * a.heads, tiles_per_head = divide_up(a.queries, kRows);
  const int64_t padded_queries = tiles_per_head * kRows, steps = divide_up(a.keys, kKeys);
  const int64_t tiles = heads * tiles_per_head, grid = std::min<int64_t>(a.multiprocessors, tiles * steps);
  const int64_t rounds = tiles / grid, rest = tiles - rounds * grid, slots = rest == 0 ? 0 : rest + grid;
  Workspace space(a.workspace);
  Quantisation n{.q = strided(a.q, a.q_strides),
                 .k = strided(a.k, a.k_strides),
                 .v = strided(a.v, a.v_strides),
                 .heads = int(a.heads),
                 .all_heads = int(heads),
                 .queries = int(a.queries),
                 .keys = int(a.keys),
                 .padded_queries = int(padded_queries),
                 .key_blocks = int(steps),
                 .samples = int(std::min(a.keys, kSampledKeys))};
  n.q8 = space.take<uint8_t>(heads * padded_queries * kWidth);
  n.kv8 = space.take<uint8_t>(heads * steps * 2 * kBlockBytes);
  n.q_scales = space.take<float>(heads * padded_queries);
  n.q_shifts = space.take<float>(heads * padded_queries);
  n.k_scales = space.take<float>(heads * steps);
  n.k_means = space.take<float>(heads * kWidth);
  n.v_means = space.take<float>(heads * kWidth);
  n.v_factors = space.take<float>(heads * kWidth);
  n.arrival_count = int(rest * kGroups);
  n.arrivals = space.take<int>(n.arrival_count);
  Work w{.q8 = n.q8,
         .kv8 = n.kv8,
         .heads = int(a.heads),
         .queries = int(a.queries),
         .keys = int(a.keys),
         .padded_queries = int(padded_queries),
         .query_tiles = int(tiles_per_head),
         .steps = int(steps),
         .rounds = int(rounds),
         .rest_steps = int(rest * steps),
         .q_scales = n.q_scales,
         .q_shifts = n.q_shifts,
         .k_scales = n.k_scales,
         .v_factors = n.v_factors,
         .v_means = n.v_means,
         .out = static_cast<__nv_bfloat16*>(a.out),
         .lse = a.lse};
  w.partial_sums = space.take<float4>(slots * kGroups * 16 * 128);
  w.partial_rows = space.take<float4>(slots * kGroups * 128);
  w.arrivals = n.arrivals;
  return {n, w, int(grid), space.bytes()};
}

cudaError_t quantise(const Plan& plan, cudaStream_t stream) {
  const Quantisation& n = plan.quantisation;
  cudaLaunchAttribute cluster{.id = cudaLaunchAttributeClusterDimension};
  cluster.val.clusterDim.x = kSlices, cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(kSlices, unsigned(n.all_heads), 2), config.blockDim = kSampleThreads, config.stream = stream;
  config.attrs = &cluster, config.numAttrs = 1;
  const cudaError_t error = cudaLaunchKernelEx(&config, sample_kernel, n);
  if (error != cudaSuccess) return error;
  const int64_t blocks = 2 * int64_t(n.key_blocks) + divide_up(n.queries, kKeys);
  quantise_kernel<<<dim3(unsigned(blocks), unsigned(n.all_heads)), kQuantiseThreads, 0, stream>>>(n);
  return cudaGetLastError();
}

cudaError_t attend(const Plan& plan, cudaStream_t stream) {
  const auto kernel = int8_attention_kernel;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, Shared::kBytes);
  if (error != cudaSuccess) return error;
  kernel<<<unsigned(plan.grid), 128 * (kGroups + 1), Shared::kBytes, stream>>>(plan.work);
  return cudaGetLastError();
}

}  // namespace hopper_attention_cu

int64_t int8_attention_workspace(const Int8AttentionArguments& a) { return plan_of(a).bytes; }

cudaError_t launch_int8_attention(const Int8AttentionArguments& a, cudaStream_t stream) {
  const Plan plan = plan_of(a);
  const cudaError_t error = quantise(plan, stream);
  return error == cudaSuccess ? attend(plan, stream) : error;
}

}  // namespace flashblock
