// Comparison of tensors in tests; failures report how much, where and how often they differ.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

namespace flashblock::testing {

/// Passes if shapes agree, neither holds NaN, and |actual - expected| <= absolute + relative * |expected| everywhere.
/// Compares in float64 on the CPU, for all dtypes and devices. A failure reports the largest absolute and relative
/// error, their positions, how many elements exceed the bound, and the relative norm of the difference.
::testing::AssertionResult tensors_close(const at::Tensor& actual, const at::Tensor& expected, double relative,
                                         double absolute);

/// ||actual - expected||_2 / ||expected||_2 in float64; NaN if either holds one. For results of long sums, where single
/// elements close to zero have no meaningful relative error.
/// Requires: equal shapes (otherwise infinity is returned).
double relative_norm_error(const at::Tensor& actual, const at::Tensor& expected);

/// Passes if relative_norm_error is at most `bound`; a failure reports the same as tensors_close.
::testing::AssertionResult tensors_near_in_norm(const at::Tensor& actual, const at::Tensor& expected, double bound);

/// Passes if shapes, dtypes and all elements are equal, bit for bit (NaN equals NaN of the same bits).
::testing::AssertionResult tensors_identical(const at::Tensor& actual, const at::Tensor& expected);

}  // namespace flashblock::testing

#define EXPECT_TENSORS_CLOSE(actual, expected, relative, absolute) \
  EXPECT_TRUE(::flashblock::testing::tensors_close(actual, expected, relative, absolute))
#define ASSERT_TENSORS_CLOSE(actual, expected, relative, absolute) \
  ASSERT_TRUE(::flashblock::testing::tensors_close(actual, expected, relative, absolute))
#define EXPECT_TENSORS_NEAR_IN_NORM(actual, expected, bound) \
  EXPECT_TRUE(::flashblock::testing::tensors_near_in_norm(actual, expected, bound))
#define EXPECT_TENSORS_IDENTICAL(actual, expected) \
  EXPECT_TRUE(::flashblock::testing::tensors_identical(actual, expected))
