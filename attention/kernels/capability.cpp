#include "attention/kernels/capability.h"

#include <cuda_runtime_api.h>

#include <array>
#include <atomic>

namespace flashblock {
namespace {

template <cudaDeviceAttr attribute>
int known_attribute(int device_index) {
  static std::array<std::atomic<int>, 64> known{};
  const int device = device_index < 0 ? 0 : device_index;
  std::atomic<int>& kept = known.at(static_cast<size_t>(device));
  if (kept == 0) {
    int value = 0;
    cudaDeviceGetAttribute(&value, attribute, device);
    kept = value;
  }
  return kept;
}

}  // namespace

int compute_capability_major(int device_index) {
  return known_attribute<cudaDevAttrComputeCapabilityMajor>(device_index);
}

int multiprocessor_count(int device_index) { return known_attribute<cudaDevAttrMultiProcessorCount>(device_index); }

}  // namespace flashblock
