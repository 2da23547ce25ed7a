// Devices and dtypes that the VAE's tests run on.
#pragma once

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace flashblock::testing {

struct DeviceCase {
  at::DeviceType device;
  at::ScalarType dtype;
  double bound;  ///< relative norm of the difference that is allowed, from docs/numerics.md
};

inline bool gpu_present() { return at::hasCUDA() && at::getNumGPUs() > 0; }

}  // namespace flashblock::testing

/// Skips a CUDA test where there is no GPU; with FLASHBLOCK_REQUIRE_CUDA set it fails instead.
#define FB_SKIP_WITHOUT_GPU(device_type)                                                            \
  if ((device_type) == at::kCUDA && !::flashblock::testing::gpu_present()) {                        \
    if (std::getenv("FLASHBLOCK_REQUIRE_CUDA")) FAIL() << "FLASHBLOCK_REQUIRE_CUDA is set; no GPU"; \
    GTEST_SKIP() << "no GPU";                                                                       \
  }
