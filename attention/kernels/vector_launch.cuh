// Launches kernels whose threads process eight neighboring elements at a time.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "attention/kernels/element.h"
#include "core/kernels/dependent_launch.cuh"

namespace flashblock {

inline constexpr int kThreads = 256;  // per thread block
inline constexpr int kVectors = 2;    // per thread, so that more loads are in flight

/// Queues the kernel of the arguments' element type over all vectors of [batch, queries, heads, width] elements;
/// returns the status of the launch. The kernel waits for those in front (dependent_launch.cuh).
template <typename Arguments>
cudaError_t launch_over_vectors(void (*float32)(Arguments, uint32_t vectors),
                                void (*bfloat16)(Arguments, uint32_t vectors), const Arguments& a,
                                cudaStream_t stream) {
  const auto vectors = uint32_t(a.batch * a.queries * a.heads * a.width / 8);
  const uint32_t blocks = (vectors + kVectors * kThreads - 1) / (kVectors * kThreads);
  const auto kernel = a.element == Element::kFloat32 ? float32 : bfloat16;
  return kernels::launch_dependent(kernel, dim3(blocks), kThreads, 0, stream, a, vectors);
}

}  // namespace flashblock
