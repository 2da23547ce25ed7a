// The GPU of tests, and the guard of those that need it.
#pragma once

#include <ATen/Context.h>
#include <c10/core/Device.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace flashblock::testing {

/// The GPU of the tests. It has its number, as devices of tensors have: one without is another device to those who
/// compare, and is no index into a list of GPUs.
inline const at::Device kGpu(at::kCUDA, 0);

}  // namespace flashblock::testing

/// Skips the test where there is no GPU; fails it instead if FLASHBLOCK_REQUIRE_CUDA=1 is set.
#define FLASHBLOCK_NEED_CUDA()                                                           \
  do {                                                                                   \
    if (!at::globalContext().hasCUDA()) {                                                \
      const char* required = std::getenv("FLASHBLOCK_REQUIRE_CUDA");                     \
      if (required && *required == '1') FAIL() << "no CUDA device, and one is required"; \
      GTEST_SKIP() << "no CUDA device";                                                  \
    }                                                                                    \
  } while (false)
