#include <gtest/gtest.h>

#include "attention/refresh_policy.h"
#include "tests/attention/attention_cases.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;

TEST(FirstAndCleanPass, ComputesTheFirstAndTheCleanPass) {
  const AttentionConfig config = plain("first_and_clean_pass");
  expect_counts(config, 2);
  const LayerRun actual = run_layer(config), expected = run_layer(kExact);
  const auto error = [&](size_t pass) { return relative_norm_error(actual.outputs[pass], expected.outputs[pass]); };
  const size_t block = 2 * kPasses;
  EXPECT_LT(error(block), 1e-6);
  for (size_t pass = 1; pass + 1 < size_t(kPasses); ++pass) EXPECT_GT(error(block + pass), 1e-3);
  EXPECT_LT(error(block + kPasses - 1), 1e-6);
}

TEST(FirstAndCleanPass, IsTheDefaultAndReplaysNoPass) {
  EXPECT_EQ(AttentionConfig{}.refresh, RefreshPolicyRef("first_and_clean_pass"));
  EXPECT_EQ(passes_before_clean({}, 4), 0);
}

}  // namespace
}  // namespace flashblock
