// What is read from published folders, and what is refused.
#include "language/language_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// As in the release SDAR-8B-Chat.
nlohmann::json published() {
  return {{"architectures", {"SDARForCausalLM"}},
          {"attention_bias", false},
          {"block_size", 4},
          {"eos_token_id", 151643},
          {"head_dim", 128},
          {"hidden_act", "silu"},
          {"hidden_size", 4096},
          {"intermediate_size", 12288},
          {"mask_token_id", 151669},
          {"max_position_embeddings", 32768},
          {"model_type", "sdar"},
          {"num_attention_heads", 32},
          {"num_hidden_layers", 36},
          {"num_key_value_heads", 8},
          {"rms_norm_eps", 1e-06},
          {"rope_scaling", nullptr},
          {"rope_theta", 1000000.0},
          {"sliding_window", nullptr},
          {"tie_word_embeddings", false},
          {"use_sliding_window", false},
          {"vocab_size", 151936}};
}

void write(const std::filesystem::path& path, const nlohmann::json& json) { std::ofstream(path) << json.dump(); }

TEST(LanguageConfig, APublishedFolderIsReadAsDownloaded) {
  const TemporaryFolder root;
  const std::filesystem::path folder = root / "SDAR-8B-Chat";
  std::filesystem::create_directory(folder);
  write(folder / "config.json", published());
  LanguageConfig config = read_language_config(folder);
  const LanguageConfig sizes = published_language_geometry("sdar-8b");
  EXPECT_EQ(config.width, sizes.width);
  EXPECT_EQ(config.layers, sizes.layers);
  EXPECT_EQ(config.heads, sizes.heads);
  EXPECT_EQ(config.kv_heads, sizes.kv_heads);
  EXPECT_EQ(config.head_dim, sizes.head_dim);
  EXPECT_EQ(config.ffn_dim, sizes.ffn_dim);
  EXPECT_EQ(config.vocabulary, sizes.vocabulary);
  EXPECT_EQ(config.mask_token, sizes.mask_token);
  EXPECT_EQ(config.rope_base, sizes.rope_base);
  EXPECT_EQ(config.block_size, 4);
  EXPECT_THAT(config.end_tokens, ElementsAre(151643));
  write(folder / "generation_config.json", {{"eos_token_id", {151645, 151643}}});
  EXPECT_THAT(read_language_config(folder).end_tokens, ElementsAre(151645, 151643));
  EXPECT_TRUE(is_language_model(folder));
  EXPECT_FALSE(is_language_model(root.path()));
}

TEST(LanguageConfig, TheNameOfTheFolderGivesTheBlockSize) {
  const TemporaryFolder root;
  for (const auto& [name, size] : std::map<std::string, int64_t>{
           {"SDAR-8B-Chat-b32", 32}, {"SDAR-4B-Chat-b8", 8}, {"SDAR-b", 4}, {"SDAR-base", 4}, {"SDAR-b0", 4}}) {
    std::filesystem::create_directory(root / name);
    write(root / name / "config.json", published());
    EXPECT_EQ(read_language_config(root / name).block_size, size) << name;
    EXPECT_EQ(read_language_config(root / (name + "/")).block_size, size) << name;
  }
}

TEST(LanguageConfig, OtherModelsAreRefusedByName) {
  const auto refusal = [](const std::string& key, const nlohmann::json& value) {
    nlohmann::json config = published();
    config[key] = value;
    return error_text<ConfigError>([&] { language_config_from_json(config.dump(), "x/config.json"); });
  };
  EXPECT_EQ(refusal("model_type", "llada"),
            "x/config.json: model_type is \"llada\", which is not supported, wanted \"sdar\"");
  EXPECT_THAT(refusal("model_type", "sdar_moe"), HasSubstr("model_type is \"sdar_moe\""));
  EXPECT_THAT(refusal("rope_scaling", {{"type", "yarn"}}), HasSubstr("rope_scaling is"));
  EXPECT_THAT(refusal("attention_bias", true), HasSubstr("attention_bias is true, which is not supported"));
  EXPECT_THAT(refusal("hidden_act", "gelu"), HasSubstr("hidden_act is \"gelu\""));
  EXPECT_THAT(refusal("use_sliding_window", true), HasSubstr("use_sliding_window"));
  EXPECT_THAT(refusal("quantization_config", {{"bits", 4}}), HasSubstr("quantization_config"));
}

TEST(LanguageConfig, ImpossibleValuesAreRefused) {
  const auto refusal = [](const std::string& key, const nlohmann::json& value) {
    nlohmann::json config = published();
    config[key] = value;
    return error_text<ConfigError>([&] { language_config_from_json(config.dump(), "x"); });
  };
  EXPECT_THAT(refusal("hidden_size", nullptr), HasSubstr("hidden_size is missing"));
  EXPECT_THAT(refusal("hidden_size", "wide"), HasSubstr("hidden_size is \"wide\""));
  EXPECT_THAT(refusal("hidden_size", -1), HasSubstr("whole number"));
  EXPECT_THAT(refusal("num_key_value_heads", 5), HasSubstr("32 query heads cannot share 5"));
  EXPECT_THAT(refusal("num_key_value_heads", 0), HasSubstr("cannot share"));
  EXPECT_THAT(refusal("head_dim", 63), HasSubstr("head width 63"));
  EXPECT_THAT(refusal("mask_token_id", 151936), HasSubstr("mask token 151936"));
  EXPECT_THAT(refusal("block_size", 0), HasSubstr("block size 0"));
  EXPECT_THAT(refusal("eos_token_id", {"a"}), HasSubstr("eos_token_id"));
  EXPECT_THROW(language_config_from_json("[]", "x"), ConfigError);
  EXPECT_THROW(language_config_from_json("{", "x"), ConfigError);
  EXPECT_THROW(read_language_config("/nowhere"), WeightsError);
  EXPECT_THAT(error_text<ConfigError>([] { published_language_geometry("sdar-30b"); }),
              HasSubstr("sdar-1.7b, sdar-4b, sdar-8b"));
}

}  // namespace
}  // namespace flashblock
