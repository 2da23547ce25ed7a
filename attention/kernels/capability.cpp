#include "attention/kernels/capability.h"

#include <cuda_runtime_api.h>

#include <array>
#include <atomic>

namespace flashblock {
namespace {

template <cudaDeviceAttr attribute>
int cached_attribute(int device_index) {
  static std::array<std::atomic<int>, 64> cache{};
  const int device = device_index < 0 ? 0 : device_index;
  std::atomic<int>& cached = cache.at(static_cast<size_t>(device));
  if (cached == 0) {
    int value = 0;
    cudaDeviceGetAttribute(&value, attribute, device);
    cached = value;
  }
  return cached;
}

}  // namespace

int compute_capability_major(int device_index) {
  return cached_attribute<cudaDevAttrComputeCapabilityMajor>(device_index);
}

int multiprocessor_count(int device_index) { return cached_attribute<cudaDevAttrMultiProcessorCount>(device_index); }

}  // namespace flashblock
