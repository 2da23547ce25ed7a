// Logits to probabilities as published, and drawing from them.
#include "language/token_sampler.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/cuda.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;

TEST(TokenSampler, ProbabilitiesAsPublished) {
  const auto data = parity_data("language_sampling");
  const auto cases = parity_config(*data, "cases");
  ASSERT_EQ(cases.size(), 6u);
  for (size_t i = 0; i < cases.size(); ++i) {
    const SamplingConfig sampling{cases[i]["temperature"], cases[i]["top_k"], cases[i]["top_p"]};
    const at::Tensor probabilities = filtered_probabilities(data->tensor("logits"), sampling);
    EXPECT_TENSORS_CLOSE(probabilities, data->tensor(std::to_string(i) + ".probabilities"), 1e-5, 1e-6);
    SamplingConfig greedy = sampling;
    greedy.top_k = 1;
    const SampledTokens tokens = sample_tokens(data->tensor("logits"), greedy, -1, {});
    EXPECT_TENSORS_CLOSE(at::tensor(tokens.confidence), data->tensor(std::to_string(i) + ".unfiltered"), 0, 1e-6);
  }
}

TEST(TokenSampler, DrawsInProportion) {
  const at::Tensor logits = at::log(at::tensor({0.1F, 0.2F, 0.0F, 0.4F, 0.3F})).unsqueeze(0);
  const auto shares = [&](const SamplingConfig& sampling, int64_t never) {
    constexpr int64_t kDraws = 4000;
    std::vector<double> uniform;
    for (int64_t i = 0; i < kDraws; ++i) uniform.push_back((double(i) + 0.5) / double(kDraws));
    std::map<int64_t, double> shares;
    for (const int64_t token : sample_tokens(logits.expand({kDraws, 5}), sampling, never, uniform).tokens)
      shares[token] += 1.0 / double(kDraws);
    return shares;
  };
  const auto near = [](double a, double b) { return std::abs(a - b) < 1e-3; };
  auto all = shares({.temperature = 1, .top_k = 0}, -1);
  EXPECT_TRUE(near(all[0], 0.1) && near(all[1], 0.2) && near(all[3], 0.4) && near(all[4], 0.3) && all.size() == 4);
  auto two = shares({.temperature = 1, .top_k = 2}, -1);
  EXPECT_TRUE(near(two[3], 4.0 / 7) && near(two[4], 3.0 / 7) && two.size() == 2);
  auto without = shares({.temperature = 1, .top_k = 0}, 3);
  EXPECT_TRUE(near(without[0], 1.0 / 6) && near(without[4], 0.5) && without.size() == 3);
}

TEST(TokenSampler, ConfidenceIsThatBeforeFiltering) {
  const at::Tensor logits = at::log(at::tensor({0.1F, 0.2F, 0.7F})).unsqueeze(0);
  for (const SamplingConfig sampling : {SamplingConfig{.top_k = 1}, SamplingConfig{.temperature = 0, .top_k = 0}}) {
    const SampledTokens sampled = sample_tokens(logits, sampling, 2, {});
    EXPECT_EQ(sampled.tokens[0], 1) << "the mask token is not chosen";
    EXPECT_NEAR(sampled.confidence[0], 0.2, 1e-6) << "but its probability counts";
    EXPECT_NEAR(sampled.entropy[0], -(0.1 * std::log(0.1) + 0.2 * std::log(0.2) + 0.7 * std::log(0.7)), 1e-6);
  }
}

TEST(TokenSamplerCuda, GreedyTokensAreThoseOfTheOperators) {
  FLASHBLOCK_NEED_CUDA();
  at::manual_seed(1);
  at::Tensor logits = (at::randn({7, 151936}, testing::kGpu) * 4).to(at::kBFloat16);
  logits[2].fill_(0.5);    // the first of equal ones
  logits[3][151935] = 60;  // the last one
  logits[4][17] = 50;      // may not be chosen
  logits[5].slice(0, 1).fill_(-std::numeric_limits<double>::infinity());
  for (const double temperature : {0.0, 1.0, 0.7}) {
    const SamplingConfig sampling{.temperature = temperature};
    const SampledTokens actual = sample_tokens(logits, sampling, 17, {});
    const SampledTokens expected = sample_tokens(logits.to(at::kFloat), sampling, 17, {});
    EXPECT_EQ(actual.tokens, expected.tokens) << temperature;
    EXPECT_TENSORS_CLOSE(at::tensor(actual.confidence), at::tensor(expected.confidence), 1e-5, 1e-7);
    EXPECT_TENSORS_CLOSE(at::tensor(actual.entropy), at::tensor(expected.entropy), 1e-5, 1e-5);
  }
}

TEST(TokenSampler, NumbersAreEvenlySpread) {
  std::vector<int> bins(10);
  for (int64_t position = 0; position < 100; ++position)
    for (int64_t step = 0; step < 100; ++step) {
      const double number = uniform_number(3, position, step);
      ASSERT_TRUE(number >= 0 && number < 1);
      ++bins[static_cast<size_t>(number * 10)];
    }
  for (const int count : bins) EXPECT_NEAR(count, 1000, 150);
  EXPECT_NE(uniform_number(1, 2, 3), uniform_number(1, 3, 2));
  EXPECT_NE(uniform_number(1, 2, 3), uniform_number(2, 2, 3));
}

}  // namespace
}  // namespace flashblock
