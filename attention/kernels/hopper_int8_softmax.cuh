// Softmax of integer scores, whose weights become e4m3. Compiled for sm_90a alone.
#pragma once

#include <climits>
#include <cstdint>

#include "attention/kernels/float8.cuh"
#include "attention/kernels/hopper_attention_plan.h"
#include "attention/kernels/hopper_softmax.cuh"

namespace flashblock::int8_attention {

using hopper_softmax::Rows;

/// grow_base for the scores of a block of keys.
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
  return hopper_softmax::grow_base(r, high);
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
      four[n] = hopper_softmax::power_of_two(fmaf(score, scale[h], -r.base[h]));
      if (kMasked && 8 * (j + n / 2) + n % 2 >= valid_keys) four[n] = 0;
    }
    r.sum[h] += (four[0] + four[1]) + (four[2] + four[3]);
    weights[i] = four_float8(four[0], four[1], four[2], four[3]);
  }
}

}  // namespace flashblock::int8_attention
