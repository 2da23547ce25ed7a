// What the fidelity analysis of texts measures.
#include "analysis/text_fidelity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "analysis/synthetic_model.h"
#include "analysis/text_fidelity_report.h"
#include "core/error.h"
#include "tests/support/tensor_matchers.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<const LanguageModel> small_model() {
  const LanguageConfig config{.vocabulary = 300,
                              .width = 64,
                              .layers = 3,
                              .heads = 4,
                              .kv_heads = 2,
                              .head_dim = 32,
                              .ffn_dim = 96,
                              .mask_token = 299};
  static const auto model =
      LanguageModel::load(random_language_weights(config, at::kCPU, at::kFloat), config, at::kCPU, at::kFloat);
  return model;
}

NamedAttention policy(const std::string& name, double density = 0,
                      AttentionConfig::Residual residual = AttentionConfig::Residual::kCached) {
  AttentionConfig attention = text_attention();
  attention.refresh = RefreshPolicyRef(std::string_view(name));
  attention.density = density;
  attention.residual = residual;
  return {.name = name, .attention = attention};
}

std::vector<int64_t> prompt(int64_t tokens, int64_t seed) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < tokens; ++i) ids.push_back((i * i * 7 + i * 31 + seed * 101) % 290);
  return ids;
}

std::optional<TextFidelity> measure(const std::vector<NamedAttention>& policies, const std::stop_token& stop = {}) {
  TextFidelityOptions options{.prompts = {prompt(130, 1), prompt(97, 2)}, .policies = policies};
  options.decoding.max_tokens = 24;
  options.decoding.remasking.rule = Remasking::kSequential;
  return measure_text_fidelity(
      *small_model(), options, [](size_t) {}, stop);
}

TEST(TextFidelity, RefreshedAttentionIsTheNoiseFloorAndReusedIsNot) {
  const auto fidelity = measure({policy("every_pass"), policy("first_and_clean_pass"), policy("first_pass")});
  ASSERT_TRUE(fidelity);
  ASSERT_EQ(fidelity->policies.size(), 4u);
  EXPECT_EQ(fidelity->texts[0].size(), 24u);
  EXPECT_EQ(fidelity->passes, 26 + 27) << "a token a pass, whole blocks";
  const TextPolicyMeasures &floor = fidelity->policies[0], &every = fidelity->policies[1],
                           &reused = fidelity->policies[2], &first = fidelity->policies[3];
  EXPECT_EQ(floor.name, "noise floor");
  EXPECT_EQ(floor.computed_share(), 1);
  EXPECT_LT(floor.hidden_error, 1e-5);
  EXPECT_EQ(floor.same_token, 1);
  EXPECT_EQ(floor.equal_texts(), 2);
  EXPECT_EQ(floor.equal_tokens, (std::vector<int64_t>{24, 24}));
  EXPECT_EQ(every.hidden_error, floor.hidden_error);
  EXPECT_GT(reused.hidden_error, 100 * floor.hidden_error);
  EXPECT_GT(reused.divergence, 10 * floor.divergence);
  EXPECT_GT(first.hidden_error, reused.hidden_error) << "its keys and values are stored with reused attention, too";
  // First and clean passes, of seven blocks of each text; the last block, and the last layer, have no clean pass.
  EXPECT_EQ(reused.external_computed, 2 * (2 * (2 * 7 + 2 * 6) + 2 * 7)) << "of two key/value heads";
  EXPECT_EQ(reused.external_computed + reused.external_reused, 2 * (3 * 53 + 2 * 2 * 6));
  EXPECT_GE(reused.block_divergence.size(), 6u);
}

TEST(TextFidelity, RandomWeightsAreTheSameEachTime) {
  const LanguageConfig config{
      .vocabulary = 50, .width = 32, .layers = 1, .heads = 2, .kv_heads = 1, .head_dim = 16, .ffn_dim = 48};
  const auto weights = [&] { return random_language_weights(config, at::kCPU, at::kFloat); };
  const auto first = weights(), second = weights();
  const std::vector<std::string> names = first->names();
  ASSERT_GT(names.size(), 5u);
  for (const std::string& name : names) {
    const at::Tensor tensor = first->tensor(name);
    EXPECT_TENSORS_IDENTICAL(first->tensor(name), tensor) << name;
    EXPECT_TENSORS_IDENTICAL(second->tensor(name), tensor) << name;
  }
}

TEST(TextFidelity, TheResidualHalvesTheErrorOfSparseAttention) {
  for (const double density : {0.2, 0.4}) {
    const auto fidelity = measure({policy("first_and_clean_pass", density, AttentionConfig::Residual::kDropped),
                                   policy("first_and_clean_pass", density)});
    EXPECT_LT(2 * fidelity->policies[2].hidden_error, fidelity->policies[1].hidden_error) << density;
  }
}

TEST(TextFidelity, ReportsWhatWasMeasured) {
  const auto fidelity = measure({policy("first_pass")});
  const nlohmann::ordered_json json = text_fidelity_json(*fidelity);
  EXPECT_EQ(json["texts"], 2);
  EXPECT_EQ(json["tokens"], nlohmann::ordered_json({24, 24}));
  EXPECT_EQ(json["policies"][1]["name"], "first_pass");
  EXPECT_NEAR(json["policies"][1]["hidden_error"].get<double>(), fidelity->policies[1].hidden_error, 1e-5);
  EXPECT_EQ(json["policies"][0]["equal_token_share"], 1);
  EXPECT_THAT(text_fidelity_table(*fidelity), HasSubstr("first_pass"));
}

TEST(TextFidelity, AStopLeavesNothing) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(measure({}, stop.get_token()));
}

}  // namespace
}  // namespace flashblock
