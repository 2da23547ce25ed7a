#include <gtest/gtest.h>

#include "attention/refresh_policy.h"
#include "core/error.h"
#include "tests/attention/attention_cases.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;

AttentionConfig every(int64_t interval) { return {.refresh = "every_nth", .interval = interval}; }

TEST(EveryNth, ComputesAtTheInterval) {
  expect_counts({.refresh = "every_nth"}, 3);
  expect_counts(every(3), 2);
  expect_counts(every(9), 1);
}

TEST(EveryNth, AtAnIntervalOfOneIsExact) {
  EXPECT_LT(largest_error(run_layer(every(1)), run_layer(kExact)), 1e-5);
  EXPECT_THROW(validate({.interval = 0}), ConfigError);
}

TEST(EveryNth, AResumedRenderReplaysUpToTheLastRefresh) {
  EXPECT_EQ(passes_before_clean(every(2), 4), 0) << "0, 2 and the clean pass";
  EXPECT_EQ(passes_before_clean(every(3), 4), 4) << "0 and 3";
  EXPECT_EQ(passes_before_clean(every(5), 4), 1) << "0";
}

}  // namespace
}  // namespace flashblock
