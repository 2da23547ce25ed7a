// Convolutions of bordered frames on Hopper's matrix units, on raw pointers. Bordered frames are [T, H + 2, W + 2, C]
// contiguous with zeros around each frame (note "Bordered frames" in vae/bordered_convolution.h). Their widths are
// multiples of those in hopper_limits.h.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock::kernels {

/// out[t, y, x, :] (+)= bias + sum over taps (dt, dy, dx) of weights[dt, dy, dx] * in[t + dt, y + dy, x + dx], with
/// `in` the two frames of history and then `frames`. bfloat16, sums in float32, rounded once. All pointers aligned to
/// 16 bytes.
struct CausalArguments {
  const void* history[2] = {};    ///< [H + 2, W + 2, Cin] each
  const void* frames = nullptr;   ///< [T, H + 2, W + 2, Cin]
  const void* weights = nullptr;  ///< [3, 3, 3, Cout, Cin]
  const float* bias = nullptr;    ///< [Cout] or null
  void* out = nullptr;            ///< [T, H, W, Cout]
  bool add = false;               ///< out += instead of out =
  /// [Cout] or null. With it the result goes through RMS norm and SiLU, and `out` is bordered: [T, H + 2, W + 2, Cout].
  /// Requires: Cout 96 or 192; not with `add`.
  const float* gamma = nullptr;
  int64_t count = 0, height = 0, width = 0;  ///< T, H, W
  int64_t in_channels = 0, out_channels = 0;
};
cudaError_t launch_causal_convolution(const CausalArguments& arguments, int multiprocessors, cudaStream_t stream);

/// out[t, 2y + a, 2x + b, :] = bias[a, b] + sum over taps (dy, dx) of weights[dy, dx, a, b] * in[t, y + a + dy, x + b +
/// dx]. Numerics and alignment as above.
struct DoublingArguments {
  const void* frames = nullptr;              ///< [T, H + 2, W + 2, Cin]
  const void* weights = nullptr;             ///< [2, 2, 2 * 2 * Cout, Cin]
  const float* bias = nullptr;               ///< [2 * 2 * Cout] or null
  void* out = nullptr;                       ///< [T, 2H, 2W, Cout]
  int64_t count = 0, height = 0, width = 0;  ///< T, H, W
  int64_t in_channels = 0, out_channels = 0;
};
cudaError_t launch_doubling_convolution(const DoublingArguments& arguments, int multiprocessors, cudaStream_t stream);

}  // namespace flashblock::kernels
