#include "models/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

using ::testing::HasSubstr;

std::filesystem::path demo_model() { return testing::test_data("../../assets/demo/spiece.model"); }

std::vector<int64_t> used_ids(const TokenIds& tokens) {
  return {tokens.ids.begin(), tokens.ids.begin() + std::accumulate(tokens.mask.begin(), tokens.mask.end(), int64_t{0})};
}

TEST(Tokenizer, AgreesWithSentencesegmentInPython) {
  const Tokenizer tokenizer = Tokenizer::load(demo_model());
  std::ifstream file(testing::test_data("tokenizer_ids.json"));
  const auto cases = nlohmann::json::parse(file)["cases"];
  ASSERT_FALSE(cases.empty());
  for (const auto& example : cases)
    EXPECT_EQ(used_ids(tokenizer.encode(example["prompt"].get<std::string>(), 512)),
              example["ids"].get<std::vector<int64_t>>())
        << example["prompt"];
}

TEST(Tokenizer, PadsAndMasks) {
  const TokenIds tokens = Tokenizer::load(demo_model()).encode("a red balloon", 16);
  ASSERT_EQ(tokens.ids.size(), 16U);
  ASSERT_EQ(tokens.mask.size(), 16U);
  const auto end = tokens.prompt_tokens;
  EXPECT_EQ(tokens.ids[end], 1);
  for (int64_t i = 0; i < 16; ++i) {
    EXPECT_EQ(tokens.mask[i], i <= end ? 1 : 0);
    EXPECT_TRUE(i <= end || tokens.ids[i] == 0);
  }
}

TEST(Tokenizer, EmptyPromptIsTheEndMark) {
  const Tokenizer tokenizer = Tokenizer::load(demo_model());
  for (const char* prompt : {"", "  \n\t "}) {
    EXPECT_EQ(used_ids(tokenizer.encode(prompt, 8)), std::vector<int64_t>{1});
    EXPECT_EQ(tokenizer.encode(prompt, 1).ids, std::vector<int64_t>{1});
  }
}

TEST(Tokenizer, TruncationKeepsTheBeginningAndTheEndMark) {
  const Tokenizer tokenizer = Tokenizer::load(demo_model());
  std::string prompt = "a red balloon drifts over snowy hills at dawn";
  for (int i = 0; i < 6; ++i) prompt += " and " + prompt;
  const TokenIds whole = tokenizer.encode(prompt, 4096), cut = tokenizer.encode(prompt, 512);
  ASSERT_GT(whole.prompt_tokens, 512);
  EXPECT_EQ(cut.prompt_tokens, whole.prompt_tokens);
  EXPECT_TRUE(std::equal(cut.ids.begin(), cut.ids.begin() + 511, whole.ids.begin()));
  EXPECT_EQ(cut.ids[511], 1);
  EXPECT_EQ(cut.mask[511], 1);
}

TEST(Tokenizer, TellsWhatIsCutOff) {
  const Tokenizer tokenizer = Tokenizer::load(demo_model());
  const std::string begin = "a red balloon drifts over snowy hills";
  const int64_t tokens = tokenizer.encode(begin, 64).prompt_tokens;
  const TokenIds cut = tokenizer.encode(begin + " then a castle at dawn", tokens + 1);
  EXPECT_EQ(cut.used_tokens, tokens);
  EXPECT_GT(cut.prompt_tokens, tokens);
  EXPECT_EQ(cut.unseen, "then a castle at dawn");
  const TokenIds whole = tokenizer.encode(begin, tokens + 1);
  EXPECT_EQ(whole.used_tokens, whole.prompt_tokens);
  EXPECT_EQ(whole.unseen, "");
}

TEST(Tokenizer, CleansThePrompt) {
  const Tokenizer tokenizer = Tokenizer::load(demo_model());
  EXPECT_EQ(tokenizer.encode("  a\n“red”   balloon &amp; bird ", 32).ids,
            tokenizer.encode("a \"red\" balloon & bird", 32).ids);
}

std::string load_error(const std::filesystem::path& path) {
  try {
    Tokenizer::load(path);
  } catch (const WeightsError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Tokenizer, RefusesWhatIsNoTokenizer) {
  const testing::TemporaryFolder folder;
  EXPECT_THAT(load_error(folder.path() / "missing.model"), HasSubstr("missing.model: no such file"));
  EXPECT_THAT(load_error(folder.path()), HasSubstr("no such file"));

  const auto noise = folder.path() / "noise.model";
  std::ofstream(noise) << "this is not a sentencepiece model";
  EXPECT_THAT(load_error(noise), HasSubstr("not a sentencepiece model"));

  const auto empty = folder.path() / "empty.model";
  std::ofstream{empty};
  EXPECT_NE(load_error(empty), "no error");

  const auto cut = folder.path() / "cut.model";
  std::filesystem::copy_file(demo_model(), cut);
  std::filesystem::resize_file(cut, std::filesystem::file_size(cut) / 2);
  EXPECT_NE(load_error(cut), "no error");
  for (const auto& path : {noise, empty, cut}) EXPECT_EQ(load_error(path).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace flashblock
