// How Hopper's kernels are built: one warp loads the steps of tiles into shared memory, warpgroups compute with them,
// and thread blocks take tiles in turn. Shared memory has the steps in flight, one after the other, then their
// barriers.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>

#include "core/kernels/hopper.cuh"

namespace flashblock::kernels::hopper {

constexpr int kMaxShared = 227 * 1024;  ///< of a thread block, in bytes

/// As many steps as fit, of kStepBytes each, the first at a multiple of kAlign.
template <int kStepBytes, int kAlign>
struct StepMemory {
  static constexpr int kBytes = kStepBytes, kAlignment = kAlign, kBarrierBytes = 256;
  static constexpr int kInFlight = (kMaxShared - kAlignment - kBarrierBytes) / kBytes;
  static constexpr int kSharedBytes = kInFlight * kBytes + kAlignment + kBarrierBytes;
  static_assert(2 * kInFlight * sizeof(uint64_t) <= kBarrierBytes && kInFlight >= 2);
};

/// The first multiple of kAlignment.
template <int kAlignment>
__device__ __forceinline__ uint8_t* aligned(uint8_t* shared) {
  return reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(shared) + kAlignment - 1) / kAlignment * kAlignment);
}

/// A place in the ring of steps in flight, and the parity of its phase. A reader begins with parity 0; so that a slot
/// that was never read counts as empty, the loading thread begins with 1.
template <int kInFlight>
struct Slot {
  int index = 0, parity = 0;
  __device__ __forceinline__ void advance() {
    if (++index == kInFlight) index = 0, parity ^= 1;
  }
};

/// Steps in flight. `full`, by step: the loading thread arrives and announces bytes; `empty`: each warpgroup arrives.
struct Steps {
  uint8_t* memory;
  uint64_t *full, *empty;
};

/// One thread, before the barrier of the thread block.
__device__ __forceinline__ void init_barriers(uint64_t* full, uint64_t* empty, int in_flight, int warpgroups) {
  for (int i = 0; i < in_flight; ++i) init_barrier(full + i, 1), init_barrier(empty + i, warpgroups);
}

/// At the beginning of a kernel: its steps in `shared`, of S::kSharedBytes (StepMemory).
template <typename S>
__device__ __forceinline__ Steps begin_steps(uint8_t* shared, int warpgroups) {
  uint8_t* memory = aligned<S::kAlignment>(shared);
  uint64_t* full = reinterpret_cast<uint64_t*>(memory + S::kInFlight * S::kBytes);
  uint64_t* empty = full + S::kInFlight;
  if (threadIdx.x == 0) {
    init_barriers(full, empty, S::kInFlight, warpgroups);
    publish_barriers();
  }
  __syncthreads();
  return {memory, full, empty};
}

// --- On the host --------------------------------------------------------------------------------------

constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Describes a tensor of up to five dimensions to the copy engine, the innermost first. strides: in bytes, from the
/// second dimension on. False: it cannot be described, or the driver has no such function.
template <int kDimensions>
bool encode_tensor_map(CUtensorMap& map, CUtensorMapDataType type, const void* tensor,
                       const cuuint64_t (&sizes)[kDimensions], const cuuint64_t (&strides)[kDimensions - 1],
                       const cuuint32_t (&box)[kDimensions], CUtensorMapSwizzle swizzle) {
  const auto function = tensor_map_encoder();
  const cuuint32_t steps[] = {1, 1, 1, 1, 1};
  return function && function(&map, type, kDimensions, const_cast<void*>(tensor), sizes, strides, box, steps,
                              CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                              CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

/// Queues a kernel whose thread blocks take `tiles` in turn; returns the status of the launch.
template <typename... Parameters>
cudaError_t launch_over_tiles(void (*kernel)(Parameters...), int tiles, int multiprocessors, int threads,
                              int shared_bytes, cudaStream_t stream, const Parameters&... parameters) {
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (error != cudaSuccess) return error;
  kernel<<<static_cast<unsigned>(std::min(tiles, multiprocessors)), threads, shared_bytes, stream>>>(parameters...);
  return cudaGetLastError();
}

}  // namespace flashblock::kernels::hopper
