#include <algorithm>

#include "core/kernels/dependent_launch.cuh"
#include "models/kernels/row_copies.h"

namespace flashblock {
inline namespace row_copies_cu {

constexpr uint32_t kCopyThreads = 256;

__host__ __device__ uint32_t vectors_of(const RowCopy& copy) {
  return copy.sizes[0] * copy.sizes[1] * copy.sizes[2] * copy.vectors;
}

__device__ int64_t offset(const int64_t* strides, uint32_t i, uint32_t j, uint32_t k, uint32_t vector) {
  return i * strides[0] + j * strides[1] + k * strides[2] + vector;
}

// blockIdx.y: which copy.
__global__ void __launch_bounds__(kCopyThreads) row_copies_kernel(const __grid_constant__ RowCopies a) {
  const RowCopy& copy = a.copies[blockIdx.y];
  const uint32_t at = blockIdx.x * kCopyThreads + threadIdx.x;
  kernels::allow_next_kernel();
  kernels::wait_for_kernels_in_front();
  if (at >= vectors_of(copy)) return;
  const uint32_t vector = at % copy.vectors, row = at / copy.vectors;
  const uint32_t k = row % copy.sizes[2], rest = row / copy.sizes[2];
  const uint32_t j = rest % copy.sizes[1], i = rest / copy.sizes[1];
  static_cast<uint4*>(copy.to)[offset(copy.to_strides, i, j, k, vector)] =
      static_cast<const uint4*>(copy.from)[offset(copy.from_strides, i, j, k, vector)];
}

}  // namespace row_copies_cu

cudaError_t launch_row_copies(const RowCopies& a, cudaStream_t stream) {
  uint32_t most = 0;
  for (int i = 0; i < a.count; ++i) most = std::max(most, vectors_of(a.copies[i]));
  if (most == 0) return cudaSuccess;
  const dim3 blocks((most + kCopyThreads - 1) / kCopyThreads, static_cast<unsigned>(a.count));
  return kernels::launch_dependent(row_copies_kernel, blocks, kCopyThreads, 0, stream, a);
}

}  // namespace flashblock
