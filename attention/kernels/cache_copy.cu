#include "attention/kernels/cache_copy.h"
#include "core/kernels/dependent_launch.cuh"

namespace flashblock {
inline namespace cache_copy_cu {

using namespace kernels;

constexpr int kCopyThreads = 256;

// blockIdx.y: text or video; .z: keys or values.
__global__ void __launch_bounds__(kCopyThreads) cache_copy_kernel(CacheCopyArguments a) {
  const int64_t vector = int64_t(blockIdx.x) * kCopyThreads + threadIdx.x, at = blockIdx.y * a.batch_stride + vector;
  allow_next_kernel();
  wait_for_kernels_in_front();
  if (vector >= a.vectors) return;
  const bool values = blockIdx.z == 1;
  static_cast<uint4*>(values ? a.to_values : a.to_keys)[at] = static_cast<const uint4*>(values ? a.values : a.keys)[at];
}

}  // namespace cache_copy_cu

cudaError_t launch_cache_copy(const CacheCopyArguments& a, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>((a.vectors + kCopyThreads - 1) / kCopyThreads),
                    static_cast<unsigned>(a.batch), 2);
  return launch_dependent(cache_copy_kernel, blocks, kCopyThreads, 0, stream, a);
}

}  // namespace flashblock
