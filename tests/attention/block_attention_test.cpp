// Exact attention and attention with a cached external state, over the passes of several frame blocks.
#include "attention/block_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "attention/attention.h"
#include "core/error.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

constexpr int64_t kTokensPerFrame = 6, kFrames = 3, kHeads = 2, kWidth = 64, kSteps = 4;
const AttentionConfig kExact{.mode = AttentionConfig::Mode::kExact};

AttentionConfig flashblock_with(RefreshPolicyRef refresh) { return {AttentionConfig::Mode::kFlashblock, refresh}; }
constexpr int64_t kLayer = 7;

// Runs blocks of kSteps denoising passes and a clean pass over one layer; queries and keys differ in every pass.
class Layer {
 public:
  explicit Layer(AttentionConfig config)
      : config_(config), kv_({kTokensPerFrame, kFrames, 9, 3}, 1, kHeads, kWidth, at::kCPU, at::kFloat) {}

  std::vector<at::Tensor> run_block(int64_t block) {
    std::vector<at::Tensor> outputs;
    for (int64_t step = 0; step < kSteps; ++step) outputs.push_back(pass(block, step, Pass::denoise(step)));
    outputs.push_back(pass(block, kSteps, Pass::clean()));
    kv_.commit();
    external_.cache.clear();
    return outputs;
  }

  const LayerExternal& external() const { return external_; }
  void watch(AttentionObserver* observer) { external_.observer = observer; }

 private:
  at::Tensor pass(int64_t block, int64_t step, const Pass& pass) {
    const std::string name = std::to_string(block) + "." + std::to_string(step);
    const std::vector<int64_t> shape{1, kFrames * kTokensPerFrame, kHeads, kWidth};
    const KeyRange staged = kv_.stage(kFrames);
    staged.keys.copy_(testing::formula_data("k" + name, shape, 1.7));
    staged.values.copy_(testing::formula_data("v" + name, shape, 1.7));
    return block_attention(testing::formula_data("q" + name, shape, 1.7), kv_, external_, config_, pass);
  }

  AttentionConfig config_;
  KvCache kv_;
  LayerExternal external_{.layer = kLayer};
};

TEST(BlockAttention, FirstBlockIsTheSameBitForBitInBothModes) {
  const auto expected = Layer(kExact).run_block(0);
  const auto actual = Layer(flashblock_with("first_pass")).run_block(0);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TENSORS_IDENTICAL(actual[i], expected[i]);
}

TEST(BlockAttention, EveryPassRefreshedEqualsExact) {
  Layer exact(kExact), refreshed(flashblock_with("every_pass"));
  for (int64_t block = 0; block < 5; ++block) {
    const auto expected = exact.run_block(block), actual = refreshed.run_block(block);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_TENSORS_NEAR_IN_NORM(actual[i], expected[i], 1e-6);
  }
}

TEST(BlockAttention, ReusedPassesDifferAndRefreshedOnesDoNot) {
  for (const RefreshPolicyRef policy : {"first_pass", "first_and_clean_pass"}) {
    Layer exact(kExact), reusing(flashblock_with(policy));
    for (int64_t block = 0; block < 5; ++block) {
      const auto expected = exact.run_block(block), actual = reusing.run_block(block);
      for (int64_t i = 0; i <= kSteps; ++i) {
        const bool fresh = block == 0 || i == 0 || (i == kSteps && policy == RefreshPolicyRef("first_and_clean_pass"));
        const double error = testing::relative_norm_error(actual[size_t(i)], expected[size_t(i)]);
        EXPECT_TRUE(fresh ? error < 1e-6 : error > 1e-3) << to_string(policy) << " block " << block << " pass " << i;
        EXPECT_TRUE(at::isfinite(actual[size_t(i)]).all().item<bool>());
      }
    }
  }
}

TEST(BlockAttention, CountsExternalAttentionsComputedAndReused) {
  struct Case {
    AttentionConfig config;
    int64_t computed, reused;  // per block after the first
  };
  for (const Case& expected :
       {Case{kExact, 5, 0}, Case{flashblock_with("every_pass"), 5, 0}, Case{flashblock_with("first_pass"), 1, 4},
        Case{flashblock_with("first_and_clean_pass"), 2, 3}}) {
    Layer layer(expected.config);
    for (int64_t block = 0; block < 4; ++block) layer.run_block(block);
    EXPECT_EQ(layer.external().work.computed(), 3 * kHeads * expected.computed);
    EXPECT_EQ(layer.external().work.reused(), 3 * kHeads * expected.reused);
  }
}

TEST(AttentionConfigNames, AreReadAsWritten) {
  for (const auto mode : {AttentionConfig::Mode::kExact, AttentionConfig::Mode::kFlashblock})
    EXPECT_EQ(parse_attention_mode(to_string(mode)), mode);
}

// Merges what it is shown.
class MergingObserver : public AttentionObserver {
 public:
  void observe(const AttentionObservation& observation) override {
    EXPECT_EQ(observation.layer, kLayer);
    outputs.push_back(merge_by_operators(observation.external, observation.internal).output);
    EXPECT_EQ(observation.computed.numel(), kHeads);
    computed.push_back(observation.computed.all().item<bool>());
    exact.push_back(attention(observation.query, observation.kv.all().keys, observation.kv.all().values));
  }
  std::vector<at::Tensor> outputs, exact;
  std::vector<bool> computed;
};

TEST(BlockAttention, AnObserverIsShownBothSidesOfEveryAttentionWithExternalKeys) {
  MergingObserver observer;
  Layer layer(flashblock_with("first_and_clean_pass"));
  layer.watch(&observer);
  layer.run_block(0);
  EXPECT_TRUE(observer.outputs.empty()) << "the first block has no external keys";
  const auto outputs = layer.run_block(1);
  ASSERT_EQ(observer.outputs.size(), outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) EXPECT_TENSORS_CLOSE(observer.outputs[i], outputs[i], 1e-6, 1e-6);
  EXPECT_EQ(observer.computed, (std::vector<bool>{true, false, false, false, true}));
  EXPECT_TENSORS_CLOSE(observer.exact.front(), outputs.front(), 1e-5, 1e-5);
  layer.watch(nullptr);
  layer.run_block(2);
  EXPECT_EQ(observer.outputs.size(), outputs.size());
}

}  // namespace
}  // namespace flashblock
