// Launches a CUDA kernel on the device and stream of its tensors.
#pragma once

#ifdef FLASHBLOCK_CUDA

#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <string>

#include "core/error.h"

namespace flashblock {

/// Calls launcher(arguments, stream) on the device of `on` and its current stream.
/// Throws: DeviceError with CUDA's text if the launch fails.
template <typename Launcher, typename Arguments>
void launch(Launcher launcher, const Arguments& arguments, const at::Tensor& on, const char* name) {
  const c10::cuda::CUDAGuard guard(on.device());
  const cudaError_t status = launcher(arguments, c10::cuda::getCurrentCUDAStream().stream());
  if (status != cudaSuccess) throw DeviceError(std::string("CUDA kernel ") + name + ": " + cudaGetErrorString(status));
}

}  // namespace flashblock

#endif
