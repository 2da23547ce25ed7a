// Numbers as e4m3.
#pragma once

#include <cstdint>

namespace flashblock {

/// The nearest ones, the largest for what is beyond it; `a` in the lowest byte.
__device__ __forceinline__ uint32_t four_float8(float a, float b, float c, float d) {
  uint32_t packed;
  asm("{\n.reg .b16 low, high;\ncvt.rn.satfinite.e4m3x2.f32 low, %2, %1;\ncvt.rn.satfinite.e4m3x2.f32 high, %4, %3;\n"
      "mov.b32 %0, {low, high};\n}\n"
      : "=r"(packed)
      : "f"(a), "f"(b), "f"(c), "f"(d));
  return packed;
}

}  // namespace flashblock
