// The keys of texts, and how language models are found.
#include "settings/text_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;

TextConfig with(const std::string& key, const std::string& value) {
  TextConfig config;
  read_text_setting("--set", key, value, config);
  return config;
}

TEST(TextSettings, EveryKeySetsItsField) {
  EXPECT_EQ(with("decoding.block_size", "8").decoding.block_size, 8);
  EXPECT_EQ(with("decoding.steps", "3").decoding.steps, 3);
  EXPECT_EQ(with("decoding.remasking", "sequential").decoding.remasking.rule, Remasking::kSequential);
  EXPECT_EQ(with("decoding.threshold", "0.5").decoding.remasking.threshold, 0.5);
  EXPECT_EQ(with("decoding.entropy_bound", "2").decoding.remasking.entropy_bound, 2);
  EXPECT_EQ(with("decoding.temperature", "0.6").decoding.sampling.temperature, 0.6);
  EXPECT_EQ(with("decoding.top_k", "20").decoding.sampling.top_k, 20);
  EXPECT_EQ(with("decoding.top_p", "0.95").decoding.sampling.top_p, 0.95);
  EXPECT_EQ(with("decoding.max_tokens", "7").decoding.max_tokens, 7);
  EXPECT_FALSE(with("decoding.stop_at_end", "false").decoding.stop_at_end);
  EXPECT_EQ(with("attention.tau", "3").attention.tau, 3);
  EXPECT_TRUE(with("attention.recompute_decoded_rows", "true").attention.recompute_decoded_rows);
  EXPECT_EQ(with("attention.mode", "exact").attention.mode, AttentionConfig::Mode::kExact);
  EXPECT_EQ(to_string(with("attention.refresh", "decoded_tokens").attention.refresh), "decoded_tokens");
  EXPECT_EQ(with("attention.density", "0.3").attention.density, 0.3);
  EXPECT_EQ(with("attention.correction", "mean_key").attention.correction, AttentionConfig::Correction::kMeanKey);
  EXPECT_EQ(with("seed", "12").seed, 12u);
  EXPECT_EQ(with("device", "cpu").device, "cpu");
  EXPECT_EQ(with("dtype", "float32").dtype, "float32");
}

TEST(TextSettings, AKeyChangesNothingElse) {
  TextConfig config = with("decoding.steps", "3");
  read_text_setting("--set", "attention.refresh", "every_pass", config);
  EXPECT_EQ(config.decoding.steps, 3);
  EXPECT_EQ(config.attention.correction, AttentionConfig::Correction::kNone) << "the default of texts";
}

TEST(TextSettings, AConfigurationFileGivesThemToo) {
  const TemporaryFolder folder;
  std::ofstream(folder / "text.yaml")
      << "seed: 4\nattention: {tau: 3, refresh: decoded_tokens}\ndecoding:\n  steps: 2\n";
  TextConfig config;
  read_text_settings(load_config_layer(folder / "text.yaml"), config);
  EXPECT_EQ(config.seed, 4u);
  EXPECT_EQ(config.attention.tau, 3);
  EXPECT_EQ(to_string(config.attention.refresh), "decoded_tokens");
  EXPECT_EQ(config.decoding.steps, 2);
  std::ofstream(folder / "video.yaml") << "size: 64x64\n";
  EXPECT_THAT(error_text<ConfigError>([&] { read_text_settings(load_config_layer(folder / "video.yaml"), config); }),
              HasSubstr("unknown key 'size' of texts"));
}

TEST(TextSettings, WrongValuesAndKeysAreNamed) {
  const auto refusal = [](const std::string& key, const std::string& value) {
    return error_text<ConfigError>([&] { validate(with(key, value)); });
  };
  EXPECT_THAT(refusal("decoding.step", "3"),
              HasSubstr("unknown key 'decoding.step' of texts, did you mean decoding.steps?"));
  EXPECT_THAT(refusal("recipe.steps", "3"), HasSubstr("unknown key 'recipe.steps'"));
  EXPECT_THAT(refusal("decoding.steps", "0"), HasSubstr("a whole number from 1"));
  EXPECT_THAT(refusal("decoding.top_p", "2"), HasSubstr("decoding.top_p"));
  EXPECT_THAT(refusal("decoding.remasking", "random"), HasSubstr("possible are low_confidence_static"));
  EXPECT_THAT(refusal("decoding.steps", "{"), HasSubstr("decoding.steps"));
  EXPECT_THAT(refusal("decoding.top_p", "0"), HasSubstr("above 0"));
  TextConfig sparse = with("attention.density", "0.3");
  sparse.attention.recompute_decoded_rows = true;
  EXPECT_THAT(error_text<ConfigError>([&] { validate(sparse); }), HasSubstr("attention.recompute_decoded_rows"));
}

TEST(TextSettings, ThePageListsThem) {
  std::string table = "| key | option | meaning | values | default |\n| --- | --- | --- | --- | --- |\n";
  for (const TextSetting& setting : text_settings())
    table += "| `" + setting.name + "` | " + (setting.option.empty() ? "" : "`" + setting.option + "`") + " | " +
             setting.help + " | " + setting.values + " | " + setting.otherwise + " |\n";
  std::ifstream file(test_data("../../docs/language_models.md"));
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_THAT(page.str(), HasSubstr("\n\n" + table + "\n")) << "the table must be:\n" << table;
}

constexpr const char* kConfig = R"({"model_type": "sdar", "vocab_size": 96, "hidden_size": 48, "intermediate_size": 80,
  "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "mask_token_id": 95})";

TEST(FindLanguageModel, FoldersAndModelFiles) {
  const TemporaryFolder root;
  const std::filesystem::path folder = root / "SDAR";
  std::filesystem::create_directory(folder);
  std::ofstream(folder / "config.json") << kConfig;
  EXPECT_EQ(find_language_model(folder.string()), folder);
  std::ofstream(root / "mine.yaml") << "architecture: sdar\nmodel: SDAR\n";
  EXPECT_EQ(find_language_model((root / "mine.yaml").string()), folder);
  std::ofstream(root / "video.yaml") << "architecture: wan2.1\nmodel: SDAR\n";
  EXPECT_THAT(error_text<ConfigError>([&] { find_language_model((root / "video.yaml").string()); }),
              HasSubstr("found \"wan2.1\", wanted sdar"));
  std::ofstream(root / "gone.yaml") << "architecture: sdar\nmodel: other\n";
  EXPECT_THAT(error_text<ConfigError>([&] { find_language_model((root / "gone.yaml").string()); }),
              HasSubstr("there is no config.json in"));
  EXPECT_THROW(find_language_model((root / "nothing").string()), WeightsError);
  std::filesystem::create_directory(root / "other");
  std::ofstream(root / "other" / "config.json") << R"({"model_type": "llada"})";
  EXPECT_THAT(error_text<ConfigError>([&] { find_language_model((root / "other").string()); }),
              HasSubstr("model_type is \"llada\""));
}

}  // namespace
}  // namespace flashblock
