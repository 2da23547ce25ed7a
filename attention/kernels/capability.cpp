#include "attention/kernels/capability.h"

#include <cuda_runtime_api.h>

#include <array>
#include <atomic>

namespace flashblock {

int compute_capability_major(int device_index) {
  static std::array<std::atomic<int>, 64> known{};
  std::atomic<int>& major = known.at(static_cast<size_t>(device_index < 0 ? 0 : device_index));
  if (major == 0) {
    int value = 0;
    cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, device_index < 0 ? 0 : device_index);
    major = value;
  }
  return major;
}

}  // namespace flashblock
