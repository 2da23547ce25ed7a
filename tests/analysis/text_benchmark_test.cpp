// The benchmark of text: what it runs and what it tells.
#include "analysis/text_benchmark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/synthetic_model.h"

namespace flashblock {
namespace {

using ::testing::HasSubstr;

LanguageConfig small_sizes() {
  return {.vocabulary = 300,
          .width = 64,
          .layers = 2,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 32,
          .ffn_dim = 96,
          .mask_token = 299};
}

TEST(TextBenchmark, TimesEveryCaseInEveryModeAndCountsWhatIsRead) {
  const LanguageConfig config = small_sizes();
  const auto model =
      LanguageModel::load(random_language_weights(config, at::kCPU, at::kFloat), config, at::kCPU, at::kFloat);
  AttentionConfig exact = text_attention();
  exact.mode = AttentionConfig::Mode::kExact;
  const TextBenchmarkOptions options{
      .cases = {{.context = 64, .batch = 1, .block_size = 4}, {.context = 96, .batch = 3, .block_size = 8}},
      .modes = {{"exact", exact}, {"first_and_clean_pass", text_attention()}},
      .blocks = 3,
      .rounds = 2};
  const auto measured = run_text_benchmark(*model, options);
  ASSERT_TRUE(measured);
  ASSERT_EQ(measured->cases.size(), 2u);
  EXPECT_EQ(measured->cases[0].tokens, 3 * 4);
  EXPECT_EQ(measured->cases[1].tokens, 3 * 8 * 3);
  EXPECT_EQ(measured->cases[0].first_pass_seconds.size(), 2u);
  EXPECT_TRUE(measured->cases[1].first_pass_seconds.empty()) << "of one text only";
  for (const TextCaseTimes& times : measured->cases) {
    for (const TextModeTimes& mode : times.modes) {
      EXPECT_EQ(mode.seconds.size(), 2u);
      EXPECT_EQ(mode.work.passes, 3 * times.what.block_size) << "the clean passes are fused";
    }
    EXPECT_EQ(times.modes[0].work.weight_bytes, times.modes[1].work.weight_bytes);
    EXPECT_GT(times.modes[0].work.cache_bytes, 3 * times.modes[1].work.cache_bytes) << "one read a block";
  }
  const nlohmann::json json = text_bench_json(*measured);
  EXPECT_EQ(json["cases"][1]["modes"][1]["attention"], "first_and_clean_pass");
  EXPECT_GT(json["cases"][0]["modes"][0]["tokens_per_second"].get<double>(), 0);
  EXPECT_EQ(json["cases"][0]["modes"][0]["speedup"].get<double>(), 1);
  EXPECT_THAT(text_bench_table(*measured), HasSubstr("prompt and first pass"));
}

TEST(TextBenchmark, AStopLeavesNothing) {
  const LanguageConfig config = small_sizes();
  const auto model =
      LanguageModel::load(random_language_weights(config, at::kCPU, at::kFloat), config, at::kCPU, at::kFloat);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(run_text_benchmark(*model, {.cases = {{.context = 16}}, .modes = {{"exact", {}}}}, stop.get_token()));
}

}  // namespace
}  // namespace flashblock
