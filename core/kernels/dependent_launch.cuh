// Launches of kernels that may begin before the kernel in front of them in the stream has ended, so that they can fetch
// what does not depend on it. Source: NVIDIA, CUDA C++ Programming Guide, "Programmatic Dependent Launch".
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <utility>

namespace flashblock::kernels {

/// In every thread of a kernel launched by launch_dependent, before it reads or overwrites what other kernels write or
/// read: waits until all kernels in front have ended. What stands before it may read constants only.
__device__ __forceinline__ void wait_for_kernels_in_front() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// Lets the next kernel begin, if it is one launched by launch_dependent, as soon as every thread block has called
/// this.
__device__ __forceinline__ void allow_next_kernel() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/// An attribute of the current device, asked for once; 0 if there is none.
template <cudaDeviceAttr attribute>
int device_attribute() {
  static std::array<std::atomic<int>, 64> known{};
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess || device >= int(known.size())) return 0;
  std::atomic<int>& value = known[static_cast<size_t>(device)];
  if (value == 0) {
    int asked = 0;
    cudaDeviceGetAttribute(&asked, attribute, device);
    value = asked;
  }
  return value;
}

/// Lets a kernel have this much dynamic shared memory on the current device; asks the driver once.
template <auto kernel>
cudaError_t allow_shared_bytes(size_t bytes) {
  static std::array<std::atomic<bool>, 64> allowed{};
  int device = 0;
  if (const cudaError_t status = cudaGetDevice(&device); status != cudaSuccess) return status;
  if (device < int(allowed.size()) && allowed[static_cast<size_t>(device)]) return cudaSuccess;
  const cudaError_t status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (device < int(allowed.size())) allowed[static_cast<size_t>(device)] = status == cudaSuccess;
  return status;
}

/// Queues `kernel`; returns the status of the launch. More than 48 KiB of shared memory must have been allowed.
template <typename... Parameters, typename... Arguments>
cudaError_t launch_dependent(void (*kernel)(Parameters...), dim3 blocks, int threads, size_t shared_bytes,
                             cudaStream_t stream, Arguments&&... arguments) {
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = blocks;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &early;
  config.numAttrs = device_attribute<cudaDevAttrComputeCapabilityMajor>() >= 9 ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}

}  // namespace flashblock::kernels
