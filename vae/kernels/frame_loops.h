// CPU loops over frames, on raw pointers. Compiled for several instruction sets, chosen when the program starts.
#pragma once

#include <cstdint>

namespace flashblock::loops {

/// Elements are float32 (float) or bfloat16 (its 16 bits). `bias` may be null. Positions [begin, end) of rows of
/// `channels` elements.
struct NormArguments {
  const void* in = nullptr;
  const float* bias = nullptr;   ///< [channels]
  const float* gamma = nullptr;  ///< [channels]
  void* out = nullptr;
  int64_t channels = 0;
  bool silu = false;
};
void rms_norm_float32(const NormArguments& arguments, int64_t begin, int64_t end);
void rms_norm_bfloat16(const NormArguments& arguments, int64_t begin, int64_t end);

}  // namespace flashblock::loops
