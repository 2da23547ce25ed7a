#include <gtest/gtest.h>

#include "attention/refresh_policy.h"
#include "tests/attention/attention_cases.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;

TEST(FirstPass, ComputesTheFirstPassOnly) {
  const AttentionConfig config = plain("first_pass");
  expect_counts(config, 1);
  const LayerRun actual = run_layer(config), expected = run_layer(kExact);
  const auto error = [&](size_t pass) { return relative_norm_error(actual.outputs[pass], expected.outputs[pass]); };
  const size_t block = 2 * kPasses;
  EXPECT_LT(error(block), 1e-6);
  for (size_t pass = 1; pass < size_t(kPasses); ++pass) EXPECT_GT(error(block + pass), 1e-3);
}

TEST(FirstPass, AResumedRenderReplaysTheFirstPass) {
  EXPECT_EQ(passes_before_clean({.refresh = "first_pass"}, 4), 1);
  EXPECT_EQ(passes_before_clean({.mode = AttentionConfig::Mode::kExact, .refresh = "first_pass"}, 4), 0);
}

}  // namespace
}  // namespace flashblock
