// The guard of tests that need a GPU.
#pragma once

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <cstdlib>

/// Skips the test where there is no GPU; fails it instead if FLASHBLOCK_REQUIRE_CUDA=1 is set.
#define FLASHBLOCK_NEED_CUDA()                                                           \
  do {                                                                                   \
    if (!at::globalContext().hasCUDA()) {                                                \
      const char* required = std::getenv("FLASHBLOCK_REQUIRE_CUDA");                     \
      if (required && *required == '1') FAIL() << "no CUDA device, and one is required"; \
      GTEST_SKIP() << "no CUDA device";                                                  \
    }                                                                                    \
  } while (false)
