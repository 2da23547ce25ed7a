// Values of frames as bytes: what kernels of 8-bit convolutions share.
#pragma once

#include <cstdint>

namespace flashblock::kernels {

__device__ __forceinline__ float silu(float x) { return __fdividef(x, 1.0f + __expf(-x)); }

/// Four whole numbers from 0 to 255, the nearest ones, as bytes.
__device__ __forceinline__ uint32_t pack_four(float a, float b, float c, float d) {
  constexpr float kWhole = 8388608.0f;  // 2^23: what is added to it is rounded, and in its low bits
  const auto low = [](float x) { return __float_as_uint(fminf(fmaxf(x, 0.0f), 255.0f) + kWhole); };
  return __byte_perm(__byte_perm(low(a), low(b), 0x0040), __byte_perm(low(c), low(d), 0x0040), 0x5410);
}

}  // namespace flashblock::kernels
