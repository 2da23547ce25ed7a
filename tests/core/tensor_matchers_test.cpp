#include "tests/support/tensor_matchers.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

namespace flashblock::testing {
namespace {

TEST(TensorMatchers, AcceptsWhatIsInsideAndTellsWhereTheWorstIs) {
  const at::Tensor expected = at::ones({2, 3, 4});
  at::Tensor actual = expected.clone();
  EXPECT_TENSORS_CLOSE(actual, expected, 0.0, 0.0);
  actual[1][2][3] = 1.5;
  EXPECT_TENSORS_CLOSE(actual, expected, 0.5, 0.0);
  EXPECT_TENSORS_CLOSE(actual, expected, 0.0, 0.5);
  const auto result = tensors_close(actual, expected, 1e-3, 1e-3);
  EXPECT_FALSE(result);
  EXPECT_NE(std::string(result.message()).find("1 of 24"), std::string::npos) << result.message();
  EXPECT_NE(std::string(result.message()).find("0.5 at [1, 2, 3]"), std::string::npos) << result.message();
}

TEST(TensorMatchers, RefusesNanShapesAndUndefined) {
  const at::Tensor expected = at::ones({4});
  at::Tensor actual = expected.clone();
  actual[2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(tensors_close(actual, expected, 1e9, 1e9));
  EXPECT_FALSE(tensors_close(expected, actual, 1e9, 1e9));
  EXPECT_FALSE(tensors_near_in_norm(actual, expected, 1e9));
  EXPECT_FALSE(tensors_close(at::ones({2, 2}), expected, 1.0, 1.0));
  EXPECT_FALSE(tensors_close(at::Tensor(), expected, 1.0, 1.0));
  EXPECT_TRUE(std::isinf(relative_norm_error(at::ones({3}), expected)));
}

TEST(TensorMatchers, MeasuresTheRelativeNormAndTheBits) {
  const at::Tensor expected = at::full({100}, 2.0);
  EXPECT_NEAR(relative_norm_error(at::full({100}, 2.2), expected), 0.1, 1e-6);
  EXPECT_TENSORS_NEAR_IN_NORM(at::full({100}, 2.2), expected, 0.11);
  EXPECT_FALSE(tensors_near_in_norm(at::full({100}, 2.2), expected, 0.09));
  EXPECT_TENSORS_IDENTICAL(expected, at::full({100}, 2.0));
  EXPECT_FALSE(tensors_identical(expected, at::full({100}, 2.0, at::kDouble)));
  EXPECT_FALSE(tensors_identical(at::zeros({1}), at::full({1}, -0.0)));
}

}  // namespace
}  // namespace flashblock::testing
