// The online softmax of the scores that a warpgroup holds. Compiled for sm_90a alone.
#pragma once

#include <cstdint>

namespace flashblock::hopper_softmax {

constexpr float kHeadroom = 5, kMostExponent = 8.5f;  ///< of weights, as powers of two

/// Two rows of scores, those of a thread; index 0 is the one above. 2^(score - base) is the weight of a key, when
/// scores are multiplied by `scale`; `sum` is that of the weights.
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

/// `high`: the highest of the thread's scores in each row. The base is a whole number; it grows when a weight would
/// exceed 2^kMostExponent, by which all weights so far shrink by `factor`. Returns whether a base of this warp has
/// grown.
__device__ __forceinline__ bool grow_base(Rows& r, float (&high)[2]) {
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

/// The sums of rows over the four lanes that share them.
__device__ __forceinline__ void add_up(Rows& r) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    r.sum[h] += __shfl_xor_sync(0xffffffffu, r.sum[h], 1);
    r.sum[h] += __shfl_xor_sync(0xffffffffu, r.sum[h], 2);
  }
}

}  // namespace flashblock::hopper_softmax
