// Changes of attention from pass to pass, against values worked out by hand.
#include "analysis/redundancy.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/policy_curves.h"
#include "analysis/redundancy_meter.h"
#include "attention/block_attention.h"
#include "tests/support/formula_weights.h"

namespace flashblock {
namespace {

/// Attention of one token and one head of width 2.
AttentionState state(float x, float y, double lse) {
  return {at::tensor({x, y}).view({1, 1, 1, 2}), at::full({1, 1, 1}, lse)};
}

class Video {
 public:
  void pass(AttentionObserver& observer, int64_t layer, const Pass& pass, const AttentionState& external,
            const AttentionState& internal, const at::Tensor& computed = at::full({1}, true, at::kBool)) {
    observer.observe({.layer = layer,
                      .pass = pass,
                      .query = query_,
                      .kv = kv_,
                      .external = external,
                      .internal = internal,
                      .computed = computed});
  }

 private:
  at::Tensor query_ = at::full({1, 1, 1, 2}, 1.0);
  KvCache kv_{{.tokens_per_frame = 1, .frames_per_block = 1, .window_frames = 2}, 1, 1, 2, at::kCPU, at::kFloat};
};

/// Two layers, a first pass, a second one in which A_out turns by a right angle, and a clean pass of the first layer
/// that repeats the second one.
Redundancy turning_video(int blocks) {
  Video video;
  RedundancyMeter meter(2, 1);
  video.pass(meter, 0, Pass::clean(), state(1, 0, 0), state(0, 1, 0));  // of a given start: not compared
  for (int block = 0; block < blocks; ++block) {
    for (int64_t layer = 0; layer < 2; ++layer) {
      video.pass(meter, layer, Pass::denoise(0), state(1, 0, 0), state(0, 1, 0));
      video.pass(meter, layer, Pass::denoise(1), state(0, 1, 0.5), state(0, 2, 0.5));
    }
    video.pass(meter, 0, Pass::clean(), state(0, 1, 0.5), state(0, 2, 0.5));
  }
  return meter.result();
}

TEST(RedundancyMeter, ComparesPassesOfABlock) {
  for (const int blocks : {1, 3}) {  // means do not depend on how often the same is seen
    const Redundancy video = turning_video(blocks);
    EXPECT_EQ(video.passes, 3);
    EXPECT_EQ(video.pairs.size(), 3u);
    const PassPair* turn = video.pair(0, 1);
    ASSERT_TRUE(turn);
    EXPECT_NEAR(turn->of(Change::kExternalCosine)[1][0], 0, 1e-6);
    EXPECT_NEAR(turn->of(Change::kExternalError)[0][0], std::sqrt(2), 1e-6);
    EXPECT_NEAR(turn->of(Change::kLseChange)[0][0], 0.5, 1e-6);
    EXPECT_NEAR(turn->of(Change::kInternalCosine)[0][0], 1, 1e-6);
    EXPECT_NEAR(turn->of(Change::kInternalError)[0][0], 0.5, 1e-6);
    // Fresh: the mean of (0, 1) and (0, 2). Stale: (1, 0) with the weight of a score sum that is 0.5 behind.
    const double weight = 1 / (1 + std::exp(0.5));
    const double error = std::hypot(weight, 2 * (1 - weight) - 1.5) / 1.5;
    EXPECT_NEAR(turn->of(Change::kOutputError)[0][0], error, 1e-6);
    const PassPair* rest = video.pair(1, 2);
    ASSERT_TRUE(rest);
    EXPECT_NEAR(rest->of(Change::kExternalCosine)[0][0], 1, 1e-6);
    EXPECT_NEAR(rest->of(Change::kOutputError)[0][0], 0, 1e-6);
    EXPECT_TRUE(std::isnan(rest->of(Change::kExternalCosine)[1][0])) << "the last layer has no clean pass";
    EXPECT_NEAR(video.external_share[0][0][0], 0.5, 1e-6);
    ASSERT_EQ(video.blocks.size(), static_cast<size_t>(blocks));
    EXPECT_NEAR(video.blocks[0].external_cosine, 0, 1e-6) << "the clean pass does not count";
    EXPECT_NEAR(video.blocks[0].internal_cosine, 1, 1e-6);
    EXPECT_FALSE(video.pair(1, 7));
  }
}

TEST(RedundancyMeter, KeepsTheFirstPassAndTheLastOnesOfLongSchedules) {
  Video video;
  RedundancyMeter meter(1, 1);
  for (int64_t step = 0; step < 20; ++step) {
    video.pass(meter, 0, Pass::denoise(step), state(1, 0, 0.1 * static_cast<double>(step)), state(0, 1, 0));
  }
  const Redundancy redundancy = meter.result();
  ASSERT_TRUE(redundancy.pair(0, 19));
  EXPECT_NEAR(redundancy.pair(0, 19)->of(Change::kLseChange)[0][0], 1.9, 1e-5);
  EXPECT_TRUE(redundancy.pair(18, 19));
  EXPECT_FALSE(redundancy.pair(5, 19));
}

TEST(PublishedGate, ComputesWhatHasTurned) {
  const PolicyRefresh gate = published_gate(turning_video(2));
  EXPECT_EQ(gate.computed[0][0][0], 1) << "the first pass always";
  EXPECT_EQ(gate.computed[0][1][0], 1) << "turned by a right angle";
  EXPECT_EQ(gate.computed[0][2][0], 0) << "as it was when last computed";
  EXPECT_TRUE(std::isnan(gate.computed[1][2][0]));
  EXPECT_NEAR(gate.share, 4.0 / 5, 1e-9);
}

TEST(PublishedGate, IsCalibratedIntoATableThatAnswersForEachPass) {
  const RefreshGate gate = calibrate_gate(turning_video(2), {}, "here");
  EXPECT_NO_THROW(gate.check({.layers = 2, .heads = 1, .steps = 2}));
  EXPECT_EQ(gate.heads_of(0, 1).numel(), 1);
  EXPECT_EQ(gate.heads_of(0, 2).numel(), 0);
  EXPECT_EQ(gate.heads_of(1, 2).numel(), 1) << "not measured, so computed";
  const RefreshGate tolerant = calibrate_gate(turning_video(2), {.cosine = -1, .lse_change = 1}, "here");
  EXPECT_EQ(tolerant.heads_of(0, 0).numel(), 1) << "the first pass always";
  EXPECT_EQ(tolerant.heads_of(0, 1).numel(), 0);
}

// On one layer of two heads: reuse at first_pass leaves an error, every_nth computes what it says, and a bound of next
// to nothing leaves none.
TEST(PolicyReplay, HoldsPoliciesAgainstExactAttention) {
  constexpr int64_t kTokens = 4, kHeads = 2, kWidth = 64;
  const auto data = [](const std::string& name) {
    return testing::formula_data(name, {1, kTokens, kHeads, kWidth}, 1.7);
  };
  PolicyReplay replay(1, {{.curve = "first", .attention = {.refresh = "first_pass"}},
                          {.curve = "nth", .attention = {.refresh = "every_nth", .interval = 2}},
                          {.curve = "bound", .attention = {.refresh = "error_bound", .bound = 1e-6}}});
  KvCache kv({.tokens_per_frame = kTokens, .frames_per_block = 1, .window_frames = 3}, 1, kHeads, kWidth, at::kCPU,
             at::kFloat);
  LayerExternal external;
  external.observer = &replay;
  for (int block = 0; block < 3; ++block) {
    for (int step = 0; step < 3; ++step) {
      const std::string name = std::to_string(block) + "." + std::to_string(step);
      const KeyRange staged = kv.stage(1);
      staged.keys.copy_(data("k" + name));
      staged.values.copy_(data("v" + name));
      const Pass pass = step == 2 ? Pass::clean() : Pass::denoise(step);
      block_attention(data("q" + name), kv, external, {.refresh = "every_pass"}, pass);
    }
    kv.commit();
    external.cache.clear();
  }
  const std::vector<PolicyPoint> points = replay.result();
  ASSERT_EQ(points.size(), 7u) << "three policies, and four ways to copy or predict";
  EXPECT_NEAR(points[0].share, 1.0 / 3, 1e-9);
  EXPECT_NEAR(points[1].share, 2.0 / 3, 1e-9);
  EXPECT_NEAR(points[2].share, 1, 1e-9);
  EXPECT_GT(points[0].error, 0.05);
  EXPECT_GT(points[0].error, points[1].error);
  EXPECT_LT(points[2].error, 1e-5);
  for (size_t i = 3; i < points.size(); ++i) EXPECT_GT(points[i].error, 0.05) << points[i].curve;
  EXPECT_LT(points[3].error, points[5].error) << "an exact log-sum-exp helps";
}

TEST(RefreshMeter, CountsWhatIsComputed) {
  Video video;
  RefreshMeter meter(1, 2);
  const AttentionState any = state(1, 0, 0);
  const auto heads = [](int first, int second) { return at::tensor({first, second}) > 0; };
  video.pass(meter, 0, Pass::clean(), any, any, heads(1, 1));  // of a given start
  for (int block = 0; block < 2; ++block) {
    video.pass(meter, 0, Pass::denoise(0), any, any, heads(1, 1));
    video.pass(meter, 0, Pass::denoise(1), any, any, heads(block, 0));
    video.pass(meter, 0, Pass::clean(), any, any, heads(0, 0));
    video.pass(meter, 0, Pass::clean(), any, any, heads(1, 1));  // a context put through again under a new prompt
  }
  const PolicyRefresh refresh = meter.result("mine");
  EXPECT_EQ(refresh.name, "mine");
  EXPECT_EQ(refresh.computed, (std::vector<HeadGrid>{{{1, 1}, {0.5, 0}, {0, 0}}}));
  EXPECT_NEAR(refresh.share, 5.0 / 12, 1e-9);
}

}  // namespace
}  // namespace flashblock
