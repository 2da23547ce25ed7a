// Convolutions of frames in 8 bits on Hopper GPUs (wgmma, TMA): sums of products of integers.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock::kernels {

/// A causal 3x3x3 convolution of bordered frames in planes of 16 channels (note "Planes" in vae/int8_convolution.h):
///   x[t, y, x, :] = bias + scales * sum over taps (dt, dy, dx) of weights[dt, dy, dx] * in[t + dt, y + dy, x + dx]
/// with `in` the two frames of history and then `frames`; sums of integers, exact. All pointers aligned to 16 bytes.
/// Requires: Cin and Cout multiples of 96.
struct Int8CausalArguments {
  const void* history[2] = {};    ///< uint8 [Cin / 16, H + 2, W + 2, 16] each
  const void* frames = nullptr;   ///< uint8 [T, Cin / 16, H + 2, W + 2, 16]
  const void* weights = nullptr;  ///< int8 [3, 3, Cin / 16, 3, Cout, 16]: taps dt, dy; dx. Order of Cout: below
  const float* scales = nullptr;  ///< [Cout]
  const float* bias = nullptr;    ///< [Cout]
  void* out = nullptr;            ///< bfloat16 [T, H, W, Cout], rounded once
  bool add = false;               ///< out += instead of out =
  /// [Cout] or null. With it the result goes through RMS norm and SiLU, and `out` is uint8 [T, Cout / 16, H + 2, W + 2,
  /// 16]: round(inverse_steps * x + zeros), from 0 to 255; `zeros` in the border. Not with `add`. Requires: Cout 96, or
  /// 192 with Cin a multiple of 64.
  const float* gamma = nullptr;
  const float* inverse_steps = nullptr;      ///< [Cout]
  const float* zeros = nullptr;              ///< [Cout], whole numbers
  int64_t count = 0, height = 0, width = 0;  ///< T, H, W
  int64_t in_channels = 0, out_channels = 0;
};
cudaError_t launch_int8_causal_convolution(const Int8CausalArguments& arguments, int multiprocessors,
                                           cudaStream_t stream);

/// Of 32 output channels, the weights of channel 8 q + 2 j + e (q, j < 4, e < 2) are row 8 j + 2 q + e.
constexpr int64_t kInt8ChannelGroup = 32;

}  // namespace flashblock::kernels
