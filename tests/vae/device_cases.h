// Devices and dtypes that the VAE's tests run on.
#pragma once

#include <ATen/core/Tensor.h>

#include "tests/support/cuda.h"

namespace flashblock::testing {

struct DeviceCase {
  at::Device device;
  at::ScalarType dtype;
  double bound;  ///< relative norm of the difference that is allowed, from docs/numerics.md
};

}  // namespace flashblock::testing

/// Skips a test on a GPU where there is none, as FLASHBLOCK_NEED_CUDA does.
#define FB_SKIP_WITHOUT_GPU(device) \
  if ((device).is_cuda()) FLASHBLOCK_NEED_CUDA()
