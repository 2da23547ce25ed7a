// RMS norm and SiLU of frames, rounded to 8 bits, in planes (note "Planes" in vae/int8_convolution.h).
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock::kernels {

constexpr bool quantised_norm_takes(int64_t channels) { return channels == 96 || channels == 192 || channels == 384; }

/// out = round(inverse_steps * SiLU(RMS(in) * gamma) + zeros), from 0 to 255; `zeros` in a border around each frame.
/// Requires: quantised_norm_takes(channels); pointers aligned to 16 bytes.
struct QuantisedNormArguments {
  const void* in = nullptr;              ///< bfloat16 [T, H, W, C]
  const float* gamma = nullptr;          ///< [C]
  const float* inverse_steps = nullptr;  ///< [C]
  const float* zeros = nullptr;          ///< [C], whole numbers
  void* out = nullptr;                   ///< uint8 [T, C / 16, H + 2, W + 2, 16]
  int64_t count = 0, height = 0, width = 0, channels = 0;
};
cudaError_t launch_quantised_norm(const QuantisedNormArguments& arguments, cudaStream_t stream);

}  // namespace flashblock::kernels
