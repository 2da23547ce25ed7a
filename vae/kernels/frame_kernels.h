// CUDA kernels over frames, on raw pointers. Frames are [T, H, W, C] contiguous (note "Frames" in feature_cache.h).
// Every launcher enqueues on `stream`, returns at once, and gives the launch error back to its caller.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock::kernels {

enum class Element { kFloat32, kBFloat16 };

/// out = RMS(in + bias) * gamma, through SiLU if asked. Pointers aligned to 16 bytes. With a bordered size, `out` is
/// [frames, height + 2, width + 2, channels], zero around each frame, and `in` [frames, height, width, channels].
struct NormArguments {
  const void* in = nullptr;
  const float* bias = nullptr;   ///< [channels] or null
  const float* gamma = nullptr;  ///< [channels]
  void* out = nullptr;
  int64_t rows = 0;  ///< of `out`
  int64_t channels = 0;
  bool silu = false;
  int64_t bordered_height = 0, bordered_width = 0;  ///< 0: no border
};
cudaError_t launch_rms_norm(const NormArguments& arguments, Element element, cudaStream_t stream);

/// out[t n + p, y + 1, x + 1, :] = in[t, y, x, p, :] + bias[p, :], zero around each frame.
/// Requires: channels a multiple of 8; pointers aligned to 16 bytes.
struct BorderArguments {
  const void* in = nullptr;     ///< [frames, height, width, n, channels]
  const float* bias = nullptr;  ///< [n, channels] or null
  void* out = nullptr;          ///< [frames * n, height + 2, width + 2, channels]
  int64_t frames = 0, height = 0, width = 0, channels = 0;
  int64_t frames_per_frame = 1;  ///< n
};
cudaError_t launch_add_border(const BorderArguments& arguments, Element element, cudaStream_t stream);

/// sum += addend + bias. Requires: channels a multiple of 8; pointers aligned to 16 bytes.
struct AddArguments {
  void* sum = nullptr;
  const void* addend = nullptr;
  const float* bias = nullptr;  ///< [channels]
  int64_t rows = 0;
  int64_t channels = 0;
};
cudaError_t launch_add_biased(const AddArguments& arguments, Element element, cudaStream_t stream);

/// out[t, 2i + a, 2j + b, :] = phases[t, i + a, j + b, a, b, :] + bias[a, b, :].
/// Requires: channels a multiple of 8; pointers aligned to 16 bytes.
struct PhaseArguments {
  const void* phases = nullptr;  ///< [frames, rows + 1, columns + 1, 2, 2, channels]
  const float* bias = nullptr;   ///< [2, 2, channels] or null
  void* out = nullptr;           ///< [frames, 2 rows, 2 columns, channels]
  int64_t frames = 0, rows = 0, columns = 0, channels = 0;
};
cudaError_t launch_interleave_phases(const PhaseArguments& arguments, Element element, cudaStream_t stream);

/// out[t, colour, y, x] = bias[colour] + sum over taps (dt, dy, dx) of contributions[tap, colour, t + dt, y + dy - 1, x
/// + dx - 1], zero outside the frame; 3 x 3 x 3 taps, 3 colours.
struct GatherArguments {
  const void* contributions = nullptr;  ///< [27, 3, frames + 2, rows, columns]
  const float* bias = nullptr;          ///< [3]
  float* out = nullptr;                 ///< [frames, 3, rows, columns]
  int64_t frames = 0, rows = 0, columns = 0;
};
cudaError_t launch_gather_taps(const GatherArguments& arguments, Element element, cudaStream_t stream);

}  // namespace flashblock::kernels
