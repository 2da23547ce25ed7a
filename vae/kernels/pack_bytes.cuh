// Values of frames as bytes: what kernels of 8-bit convolutions share.
#pragma once

#include <cstdint>

namespace flashblock::kernels {

/// SiLU(2 h) = h + h tanh(h), by the hardware's tanh (2^-11): one special function.
__device__ __forceinline__ float silu_of_twice(float h) {
  float tanh;
  asm("tanh.approx.f32 %0, %1;" : "=f"(tanh) : "f"(h));
  return fmaf(h, tanh, h);
}

/// Four whole numbers from 0 to 255, the nearest ones, as bytes.
__device__ __forceinline__ uint32_t pack_four(float a, float b, float c, float d) {
  constexpr float kWhole = 8388608.0f;  // 2^23: what is added to it is rounded, and in its low bits
  const auto low = [](float x) { return __float_as_uint(fminf(fmaxf(x, 0.0f), 255.0f) + kWhole); };
  return __byte_perm(__byte_perm(low(a), low(b), 0x0040), __byte_perm(low(c), low(d), 0x0040), 0x5410);
}

}  // namespace flashblock::kernels
