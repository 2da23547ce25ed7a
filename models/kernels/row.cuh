// Rows of a tensor in the registers of one warp, or of the four of a thread block, and arithmetic in the element type.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "models/kernels/layer_kernels.h"

namespace flashblock {

// Two neighboring elements. An operation on them rounds once, to the element type, as a separate operator would. For
// bfloat16 that is also the fp32 result, rounded: with 8 bits of precision no product or sum rounds differently on the
// way through fp32.
template <typename T>
struct PairOf;
template <>
struct PairOf<float> {
  using Type = float2;
};
template <>
struct PairOf<__nv_bfloat16> {
  using Type = __nv_bfloat162;
};
template <typename T>
using Pair = typename PairOf<T>::Type;

__device__ inline float2 widened(float2 x) { return x; }
__device__ inline float2 widened(__nv_bfloat162 x) { return __bfloat1622float2(x); }

template <typename T>
__device__ inline Pair<T> narrowed(float x, float y);
template <>
__device__ inline float2 narrowed<float>(float x, float y) {
  return make_float2(x, y);
}
template <>
__device__ inline __nv_bfloat162 narrowed<__nv_bfloat16>(float x, float y) {
  return __floats2bfloat162_rn(x, y);
}

// The _rn forms are never contracted into one rounding.
__device__ inline float2 times(float2 a, float2 b) { return make_float2(__fmul_rn(a.x, b.x), __fmul_rn(a.y, b.y)); }
__device__ inline float2 plus(float2 a, float2 b) { return make_float2(__fadd_rn(a.x, b.x), __fadd_rn(a.y, b.y)); }
__device__ inline __nv_bfloat162 times(__nv_bfloat162 a, __nv_bfloat162 b) { return __hmul2_rn(a, b); }
__device__ inline __nv_bfloat162 plus(__nv_bfloat162 a, __nv_bfloat162 b) { return __hadd2_rn(a, b); }

/// Eight neighboring elements as in memory, loaded and stored 16 bytes at a time.
template <typename T>
struct Eight {
  Pair<T> pair[4];
};

template <typename T>
__device__ inline Eight<T> load_eight(const T* from) {
  constexpr int kWords = sizeof(Eight<T>) / sizeof(uint4);
  uint4 raw[kWords];
#pragma unroll
  for (int i = 0; i < kWords; ++i) raw[i] = reinterpret_cast<const uint4*>(from)[i];
  Eight<T> eight;
  memcpy(&eight, raw, sizeof raw);
  return eight;
}

/// From memory that the kernel does not write, so the load need not wait for a store.
template <typename T>
__device__ inline Eight<T> load_constant(const T* from) {
  constexpr int kWords = sizeof(Eight<T>) / sizeof(uint4);
  uint4 raw[kWords];
#pragma unroll
  for (int i = 0; i < kWords; ++i) raw[i] = __ldg(reinterpret_cast<const uint4*>(from) + i);
  Eight<T> eight;
  memcpy(&eight, raw, sizeof raw);
  return eight;
}

template <typename T>
__device__ inline void store_eight(T* to, const Eight<T>& eight) {
  constexpr int kWords = sizeof(Eight<T>) / sizeof(uint4);
  uint4 raw[kWords];
  memcpy(raw, &eight, sizeof raw);
#pragma unroll
  for (int i = 0; i < kWords; ++i) reinterpret_cast<uint4*>(to)[i] = raw[i];
}

// Quantisation of a row to 8-bit integers: value = round(x * (127 / m)), scale = m / 127, m its largest |x|.

/// NaN if one of them is.
__device__ inline float larger(float x, float y) {
  float larger;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(x), "f"(y));
  return larger;
}

/// Of numbers that are not negative: their bits are ordered as they are, and NaN is above all of them.
__device__ inline float largest_of_warp(float x) {
  return __uint_as_float(__reduce_max_sync(0xffffffffu, __float_as_uint(x)));
}

__device__ inline float row_scale(float largest) { return __fmul_rn(largest, 1.0f / 127.0f); }
__device__ inline float inverse_row_scale(float largest) { return largest == 0 ? 0 : __fdiv_rn(127.0f, largest); }

/// Stores eight numbers of a row as integers.
__device__ inline void store_quantised(int8_t* to, const float (&x)[8], float inverse_scale) {
  // Adding 1.5 * 2^23 rounds to an integer, whose last byte is that of the sum.
  unsigned bits[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) bits[i] = __float_as_uint(__fadd_rn(__fmul_rn(x[i], inverse_scale), 12582912.0f));
  const auto last_bytes = [&](int i) {
    const unsigned low = __byte_perm(bits[i], bits[i + 1], 0x0040);
    return __byte_perm(low, __byte_perm(bits[i + 2], bits[i + 3], 0x0040), 0x5410);
  };
  *reinterpret_cast<uint2*>(to) = make_uint2(last_bytes(0), last_bytes(4));
}

/// Whether rows fill the registers reserved for them, so that no bounds are tested.
enum class Fit { kUpTo, kExact };

/// Distribution of rows over a thread block of 128 threads: kWarps warps per row, kVectors times eight elements per
/// thread.
/// One warp sums a row by shuffles alone; four share the longer rows, which would not fit its registers.
template <typename T, int kWarps, int kVectors, Fit kFit = Fit::kUpTo>
struct RowLayout {
  using Element = T;
  static constexpr int kThreads = 128;
  static constexpr int kRowThreads = 32 * kWarps;
  static constexpr int kRows = kThreads / kRowThreads;  ///< per thread block
  static constexpr int kVectorCount = kVectors;
  static constexpr int kStep = 8 * kRowThreads;  ///< elements from one vector of a thread to the next

  __device__ static unsigned row() { return blockIdx.x * kRows + threadIdx.x / kRowThreads; }
  __device__ static int first_column() { return int(threadIdx.x) % kRowThreads * 8; }

  /// Calls f(i, column) for the vectors of this thread that lie in a row of `width`; i is a constant in each call.
  template <typename F>
  __device__ static void for_vectors(int width, F f) {
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
      const int column = i * kStep + first_column();
      if (kFit == Fit::kExact || column < width) f(i, column);
    }
  }

  /// Sum over the threads of a row; all of them must call it, and all get the result.
  __device__ static float sum(float x) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
    if constexpr (kWarps > 1) {
      __shared__ float partial[kWarps];
      __syncthreads();  // an earlier sum may still be read
      if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
      __syncthreads();
      x = partial[0];
#pragma unroll
      for (int i = 1; i < kWarps; ++i) x += partial[i];
    }
    return x;
  }

  /// The largest number of the threads of a row, none being negative; NaN if one is NaN.
  __device__ static float largest(float x) {
    x = largest_of_warp(x);
    if constexpr (kWarps > 1) {
      __shared__ float partial[kWarps];
      if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
      __syncthreads();
      x = partial[0];
#pragma unroll
      for (int i = 1; i < kWarps; ++i) x = larger(x, partial[i]);
    }
    return x;
  }
};

/// Calls f with the layout for rows of `width`. In bfloat16 the widths of the published models fill their layouts
/// exactly; float32, the slow path, has two layouts, with the same order of sums: each more compiles for seconds.
template <typename T, typename F>
void with_layout_of(int64_t width, F f) {
  static_assert(RowLayout<T, 4, 8>::kStep * 8 == kLongestRow);
  if constexpr (std::is_same_v<T, float>) {
    if (width <= 2048) return f(RowLayout<T, 1, 8>());
    return f(RowLayout<T, 4, 8>());
  }
  if (width == 1536) return f(RowLayout<T, 1, 6, Fit::kExact>());
  if (width == 3072) return f(RowLayout<T, 4, 3, Fit::kExact>());
  if (width == 5120) return f(RowLayout<T, 4, 5, Fit::kExact>());
  if (width <= 512) return f(RowLayout<T, 1, 2>());
  if (width <= 1024) return f(RowLayout<T, 1, 4>());
  if (width <= 2048) return f(RowLayout<T, 1, 8>());
  if (width <= 4096) return f(RowLayout<T, 4, 4>());
  return f(RowLayout<T, 4, 8>());
}

template <typename F>
void with_row_layout(Element element, int64_t width, F f) {
  if (element == Element::kFloat32) return with_layout_of<float>(width, f);
  return with_layout_of<__nv_bfloat16>(width, f);
}

}  // namespace flashblock
