#include "attention/policies/published_gate.h"

#include <gtest/gtest.h>

#include <string>

#include "core/error.h"
#include "tests/attention/attention_cases.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;

TEST(PublishedGate, ComputesTheHeadsOfItsTable) {
  const LayerRun run = run_layer({.refresh = "published_gate", .gate = some_gate()});
  EXPECT_EQ(run.computed, kBlocksWithPast * 9) << "heads in the gate's table, of each block with external keys";
  EXPECT_EQ(run.reused, kBlocksWithPast * 6);
  EXPECT_EQ(passes_before_clean({.refresh = "published_gate"}, 4), 4);
}

TEST(PublishedGate, NeedsAGateAndDenseAttention) {
  EXPECT_NO_THROW(validate({.refresh = "published_gate", .gate = some_gate()}));
  EXPECT_THROW(validate({.refresh = "published_gate"}), ConfigError);
  EXPECT_NO_THROW(validate({.mode = AttentionConfig::Mode::kExact, .refresh = "published_gate"}));
  EXPECT_THROW(validate({.refresh = "published_gate", .gate = some_gate(), .density = 0.2}), ConfigError);
}

TEST(PublishedGate, RefusesOtherModelsAndSchedules) {
  const auto refusal = [](int64_t layers, int64_t heads, int64_t steps) -> std::string {
    try {
      some_gate()->check({.layers = layers, .heads = heads, .steps = steps});
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(1, kHeads, 4), "");
  EXPECT_EQ(refusal(30, 12, 4),
            "attention.gate: some.yaml is for 1 layers of 3 heads, this model has 30 layers of 12 heads; calibrate a "
            "gate for this model");
  EXPECT_EQ(refusal(1, kHeads, 2),
            "attention.gate: some.yaml is for 4 denoising steps, this recipe has 2; calibrate a gate for this "
            "recipe");
}

}  // namespace
}  // namespace flashblock
