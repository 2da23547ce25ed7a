// The registry of refresh policies: what holds for all of them, their page, and a policy of another program.
#include "attention/refresh_policy.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/error.h"
#include "tests/attention/attention_cases.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;

std::vector<AttentionConfig> all_configs() {
  std::vector<AttentionConfig> configs;
  for (const RefreshPolicy* policy : refresh_policies())
    for (const auto correction : {AttentionConfig::Correction::kNone, AttentionConfig::Correction::kMeanKey})
      for (const double density : {0.0, 0.3})
        if (density == 0 || !policy->decides_by_head())
          configs.push_back(
              {.refresh = policy->text().name, .correction = correction, .gate = some_gate(), .density = density});
  configs.push_back({.density = 0.3, .residual = AttentionConfig::Residual::kDropped});
  return configs;
}

TEST(RefreshPolicies, FirstBlockIsExactBitForBit) {
  const LayerRun expected = run_layer(kExact);
  for (const AttentionConfig& config : all_configs()) {
    const LayerRun actual = run_layer(config);
    for (size_t i = 0; i < 5; ++i) EXPECT_TENSORS_IDENTICAL(actual.outputs[i], expected.outputs[i]);
    if (config.residual == AttentionConfig::Residual::kCached) {
      EXPECT_LT(testing::relative_norm_error(actual.outputs[5], expected.outputs[5]), 1e-5)
          << "the first pass of a later block";
    }
  }
}

TEST(RefreshPolicies, ExtremeScoresGiveNumbers) {
  for (const AttentionConfig& config : all_configs())
    for (const at::Tensor& output : run_layer(config, /*sharpness=*/60, /*move=*/20).outputs)
      EXPECT_TRUE(at::isfinite(output).all().item<bool>()) << to_string(config.refresh);
}

TEST(RefreshPolicies, AreReadByName) {
  for (const RefreshPolicy* policy : refresh_policies())
    EXPECT_EQ(&*parse_refresh_policy(to_string(RefreshPolicyRef(policy->text().name))), policy);
  try {
    parse_refresh_policy("sometimes");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(std::string(error.what()),
              "the refresh policy 'sometimes' is unknown; possible are every_pass, first_pass, first_and_clean_pass, "
              "every_nth, published_gate, error_bound, decoded_tokens");
  }
}

// The table as docs/refresh_policies.md must have it.
std::string documented() {
  std::string table = "| policy | refreshes | computed / reused |\n| --- | --- | --- |\n";
  for (const RefreshPolicy* policy : refresh_policies()) {
    const RefreshPolicyText& text = policy->text();
    const bool standard = RefreshPolicyRef(text.name) == AttentionConfig{}.refresh;
    table += "| `" + std::string(text.name) + "`" + (standard ? " (default)" : "") + " | " + std::string(text.help) +
             " | " + std::string(text.cost) + " |\n";
  }
  return table;
}

TEST(RefreshPolicies, ThePageListsThemAsRegistered) {
  std::ifstream file(FLASHBLOCK_DOCS "/refresh_policies.md");
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_THAT(page.str(), HasSubstr("\n\n" + documented() + "\n")) << "the table must be:\n" << documented();
}

// A policy as another program may define it: refreshes the even passes, and the first head in all others.
class EvenPasses final : public RefreshPolicy {
 public:
  EvenPasses() : RefreshPolicy({.name = "even_passes", .help = "passes 0, 2, ...", .cost = "2 / 3"}) {}
  bool refreshes(const AttentionConfig&, const Pass& pass, int64_t) const override {
    return pass.kind == Pass::Kind::kDenoise && pass.step_index % 2 == 0;
  }
  bool decides_by_head() const override { return true; }
  HeadSelection select_heads(const ExternalPass&, const CachedExternal&, const AttentionState&) const override {
    return HeadSelection::listed(at::tensor({0}, at::kLong));
  }
};

TEST(RefreshPolicies, APolicyOfAnotherProgramIsOneClassAndItsRegistration) {
  const EvenPasses policy;
  {
    const RefreshPolicyRegistration registration(policy);
    const AttentionConfig config{.refresh = "even_passes"};
    EXPECT_NO_THROW(validate(config));
    EXPECT_THAT(refresh_policy_names(), HasSubstr(", even_passes"));
    const LayerRun actual = run_layer(config), expected = run_layer(kExact);
    EXPECT_EQ(actual.computed, kBlocksWithPast * (2 * kHeads + 3 * 1));
    const auto error = [&](size_t pass, int64_t head) {
      return relative_norm_error(actual.outputs[kPasses + pass].select(2, head),
                                 expected.outputs[kPasses + pass].select(2, head));
    };
    for (const size_t pass : {0, 1, 2, 3, 4}) {
      EXPECT_LT(error(pass, 0), 1e-6) << "the first head is never reused";
      EXPECT_EQ(error(pass, 1) < 1e-6, pass == 0 || pass == 2);
    }
    EXPECT_EQ(passes_before_clean(config, 4), 4);
  }
  EXPECT_THROW(parse_refresh_policy("even_passes"), ConfigError) << "no longer registered";
}

TEST(AttentionConfig, RefusesSettingsThatExcludeEachOther) {
  EXPECT_NO_THROW(validate(AttentionConfig{}));
  EXPECT_THROW(validate({.residual = AttentionConfig::Residual::kDropped}), ConfigError);
  EXPECT_THROW(validate({.density = 1.5}), ConfigError);
}

TEST(AttentionConfig, FullDensityIsExact) {
  EXPECT_LT(largest_error(run_layer({.density = 1}), run_layer(kExact)), 1e-5);
}

}  // namespace
}  // namespace flashblock
