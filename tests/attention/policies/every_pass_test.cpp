#include <gtest/gtest.h>

#include "attention/refresh_policy.h"
#include "tests/attention/attention_cases.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;

TEST(EveryPass, IsExactUpToRounding) {
  const LayerRun expected = run_layer(kExact);
  for (const AttentionConfig& config : {plain("every_pass"), corrected("every_pass")})
    EXPECT_LT(largest_error(run_layer(config), expected), 1e-5);
}

TEST(EveryPass, ComputesEveryPass) {
  expect_counts({.refresh = "every_pass"}, 5);
  EXPECT_EQ(passes_before_clean({.refresh = "every_pass"}, 4), 0);
  EXPECT_FALSE(reused_later({.refresh = "every_pass"}, Pass::denoise(0)));
}

}  // namespace
}  // namespace flashblock
