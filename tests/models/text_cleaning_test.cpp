#include "models/text_cleaning.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "models/unicode_text.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

TEST(TextCleaning, AgreesWithThePublishedCleaning) {
  std::ifstream file(testing::test_data("prompt_cleaning.json"));
  const auto cases = nlohmann::json::parse(file)["cases"];
  ASSERT_GT(cases.size(), 50U);
  for (const auto& example : cases) {
    const std::string prompt = example["prompt"], cleaned = example["cleaned"];
    EXPECT_EQ(clean_prompt(prompt), cleaned) << "prompt: " << example["prompt"].dump(-1, ' ', /*ensure_ascii=*/true);
  }
}

TEST(TextCleaning, IsIdempotentOnItsResults) {
  std::ifstream file(testing::test_data("prompt_cleaning.json"));
  const auto cases = nlohmann::json::parse(file)["cases"];
  for (const auto& example : cases) {
    const std::string once = clean_prompt(example["prompt"].get<std::string>());
    if (once.find('&') != std::string::npos) continue;  // what was escaped more than twice
    EXPECT_EQ(clean_prompt(once), once);
  }
}

TEST(TextCleaning, ReplacesBytesThatAreNoUtf8) {
  EXPECT_EQ(clean_prompt("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(clean_prompt("a\xC3"), "a\uFFFD");
  EXPECT_EQ(clean_prompt("\xC0\x80"), "\uFFFD\uFFFD");                // overlong
  EXPECT_EQ(clean_prompt("\xF4\x90\x80\x80"), "\uFFFD");              // past U+10FFFF
  EXPECT_EQ(clean_prompt("\xE2\x82 euro"), "\uFFFD euro");            // cut short
  EXPECT_EQ(clean_prompt("\xED\xA0\xBD\xED\xB8\x80"), "\U0001F600");  // a pair of surrogates, each as UTF-8
  EXPECT_EQ(clean_prompt("\xED\xA0\xBD!"), "\uFFFD!");                // a single one
}

TEST(UnicodeText, RoundTripsEveryLength) {
  const std::string text = "a\u00e9\u20ac\U0001F388";
  EXPECT_EQ(decode_utf8(text).size(), 4U);
  EXPECT_EQ(encode_utf8(decode_utf8(text)), text);
}

}  // namespace
}  // namespace flashblock
