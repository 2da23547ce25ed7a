// The tokenizer against the published one, and against a slow reference implementation.
#include "language/byte_pair_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "core/error.h"
#include "language/chat_text.h"
#include "language/text_split.h"
#include "language/unicode_classes.h"
#include "tests/language/tokenizer_cases.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"

namespace flashblock {

const BytePairTokenizer& testing::test_tokenizer() {
  static const BytePairTokenizer tokenizer = BytePairTokenizer::load(test_data("tokenizer"));
  return tokenizer;
}

namespace {

using namespace testing;
using ::testing::HasSubstr;
using Ids = std::vector<int64_t>;
using AddedInText = BytePairTokenizer::AddedInText;

nlohmann::json published() {
  std::ifstream file(test_data("language_tokenizer.json"));
  return nlohmann::json::parse(file);
}

TEST(BytePairTokenizer, EncodesAsPublished) {
  const nlohmann::json data = published();
  ASSERT_EQ(data["strings"].size(), 281u);
  for (const auto& entry : data["strings"]) {
    const std::string text = entry["text"];
    EXPECT_EQ(test_tokenizer().encode(text, AddedInText::kRecognised), entry["ids"].get<Ids>()) << text;
    EXPECT_EQ(test_tokenizer().encode(text), entry.value("plain", entry["ids"]).get<Ids>()) << text;
  }
}

TEST(BytePairTokenizer, KnowsTheAddedTokens) {
  const nlohmann::json data = published();
  for (const auto& [text, id] : data["added_tokens"].items()) {
    EXPECT_EQ(test_tokenizer().added_token(text), id.get<int64_t>());
    EXPECT_EQ(test_tokenizer().bytes(id), text);
  }
  EXPECT_EQ(test_tokenizer().added_token("hello"), std::nullopt);
  EXPECT_EQ(test_tokenizer().size(), 151670);
  EXPECT_EQ(test_tokenizer().bytes(200'000), "") << "a model's vocabulary may be larger";
  EXPECT_TRUE(test_tokenizer().is_special(151645));
  EXPECT_FALSE(test_tokenizer().is_special(151667)) << "<think> is shown";
}

TEST(BytePairTokenizer, DecodingIsTheInverseUpToNormalization) {
  const nlohmann::json data = published();
  for (const auto& entry : data["strings"]) {
    const std::string text = entry["text"];
    EXPECT_EQ(test_tokenizer().decode(test_tokenizer().encode(text)), normalized(text));
  }
}

TEST(ChatText, IsThePublishedTemplate) {
  const std::map<std::string, ChatMessage::Role> roles = {{"system", ChatMessage::Role::kSystem},
                                                          {"user", ChatMessage::Role::kUser},
                                                          {"assistant", ChatMessage::Role::kAssistant}};
  int injected = 0;
  const nlohmann::json data = published();
  ASSERT_EQ(data["chats"].size(), 8u);
  for (const auto& chat : data["chats"]) {
    std::vector<ChatMessage> messages;
    for (const auto& message : chat["messages"]) messages.push_back({roles.at(message["role"]), message["content"]});
    const Thinking thinking = chat.value("enable_thinking", true) ? Thinking::kFree : Thinking::kNone;
    EXPECT_EQ(chat_text(messages, thinking), chat["text"].get<std::string>());
    EXPECT_EQ(test_tokenizer().encode(chat_text(messages, thinking), AddedInText::kRecognised), chat["ids"].get<Ids>());
    const Ids ids = chat_ids(test_tokenizer(), messages, thinking);
    if (messages[0].content.find("<|im_end|>") == std::string::npos) {
      EXPECT_EQ(ids, chat["ids"].get<Ids>());
    } else {
      ++injected;
      EXPECT_EQ(std::count(ids.begin(), ids.end(), 151645), 1) << "a message cannot end itself";
    }
  }
  EXPECT_EQ(injected, 1);
}

TEST(ChatText, AThoughtCanBeBegun) {
  EXPECT_EQ(chat_text({{.content = "q"}}, Thinking::kBegun),
            "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant<think>\n");
}

TEST(TextStream, NeverSplitsACharacter) {
  const std::string text = "naïve 日本語 🌊🏖️ und Ende";
  const Ids ids = test_tokenizer().encode(text);
  TextStream stream(test_tokenizer());
  std::string joined;
  int held = 0;
  for (const int64_t id : ids) {
    const std::string part = stream.add(id);
    EXPECT_EQ(part.find("\xEF\xBF\xBD"), std::string::npos);
    held += part.empty() ? 1 : 0;
    joined += part;
  }
  EXPECT_EQ(joined + stream.finish(), text);
  EXPECT_GT(held, 0) << "some tokens end within a character";
  const Ids wave = test_tokenizer().encode("🌊");
  ASSERT_GT(wave.size(), 1u);
  stream.add(wave[0]);
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD") << "an end within a character";
  EXPECT_EQ(stream.finish(), "");
}

// Merges by scanning the whole part for the lowest rank, again and again.
Ids slow_merge(const std::string& part, const TokenizerFiles& files) {
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (size_t rank = 0; rank < files.merges.size(); ++rank) ranks.emplace(files.merges[rank], rank);
  std::vector<std::string> tokens;
  for (const char byte : part) tokens.emplace_back(1, byte);
  while (true) {
    size_t best = SIZE_MAX, place = 0;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto found = ranks.find({tokens[i], tokens[i + 1]});
      if (found != ranks.end() && found->second < best) best = found->second, place = i;
    }
    if (best == SIZE_MAX) break;
    tokens[place] += tokens[place + 1];
    tokens.erase(tokens.begin() + long(place) + 1);
  }
  Ids ids;
  for (const std::string& token : tokens)
    ids.push_back(std::find(files.tokens.begin(), files.tokens.end(), token) - files.tokens.begin());
  return ids;
}

TEST(BytePairTokenizer, RandomTextsAsTheSlowReference) {
  const TokenizerFiles files = read_tokenizer_files(test_data("tokenizer"));
  std::vector<std::string> words;
  for (const auto& [left, right] : files.merges) words.push_back(left + right);
  std::mt19937 random(7);
  const std::u32string odd = U" \n\r\t'sTLv\u017f9٣éλ語\u0301\u00a0\u3000\U0001F30A-.!";
  for (int round = 0; round < 40; ++round) {
    std::string text;
    for (int i = 0; i < 6; ++i) {
      if (random() % 2 == 0)
        append_utf8(text, odd[random() % odd.size()]);
      else
        text += words[random() % words.size()];
    }
    Ids expected;
    const std::u32string characters = characters_of(normalized(text));
    for (const std::u32string_view part : split_text(characters)) {
      std::string bytes;
      for (const char32_t character : part) append_utf8(bytes, character);
      const Ids ids = slow_merge(bytes, files);
      expected.insert(expected.end(), ids.begin(), ids.end());
    }
    EXPECT_EQ(test_tokenizer().encode(text), expected) << text;
  }
}

TEST(BytePairTokenizer, ALongWordTakesNoTimeOfItsSquare) {
  EXPECT_GT(test_tokenizer().encode(std::string(1'000'000, 'a')).size(), 1000u);
}

TEST(TextSplit, PartsAreThoseOfThePattern) {
  const auto parts = [](std::u32string_view text) {
    std::vector<std::u32string> parts;
    for (const std::u32string_view part : split_text(text)) parts.emplace_back(part);
    return parts;
  };
  using Parts = std::vector<std::u32string>;
  EXPECT_EQ(parts(U"I'll GO'S it\u2019s 'tis"), Parts({U"I", U"'ll", U" GO", U"'S", U" it", U"\u2019s", U" '", U"tis"}))
      << "a contraction comes first";
  EXPECT_EQ(parts(U"a\u0301b"), Parts({U"a", U"\u0301b"})) << "a combining mark is no letter";
  EXPECT_EQ(parts(U"12 3"), Parts({U"1", U"2", U" ", U"3"}));
  EXPECT_EQ(parts(U"x  \n\n  y"), Parts({U"x", U"  \n\n", U" ", U" y"}));
  EXPECT_EQ(parts(U"end   "), Parts({U"end", U"   "}));
  EXPECT_EQ(parts(U"!?\r\nz"), Parts({U"!?\r\n", U"z"}));
  EXPECT_EQ(parts(U"'\u017fx"), Parts({U"'\u017f", U"x"}));
  EXPECT_TRUE(parts(U"").empty());
}

TEST(UnicodeClasses, RepairAndCompose) {
  EXPECT_EQ(normalized("e\xCC\x81"), "\xC3\xA9");
  EXPECT_EQ(normalized("a\xFF\xC3"), "a\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(characters_of("\xF0\x9F\x8Cx"), U"\uFFFDx") << "one for an unfinished character";
  EXPECT_EQ(characters_of("\xE0\x80\xED\xA0"), U"\uFFFD\uFFFD\uFFFD\uFFFD") << "these begin none";
  EXPECT_EQ(complete_characters("ab\xF0\x9F\x8C"), 2u);
  EXPECT_EQ(complete_characters("ab\xF0\x9F\x8C\x8A"), 6u);
  EXPECT_EQ(complete_characters("ab\xFF"), 3u) << "no byte can complete it";
  EXPECT_EQ(complete_characters(""), 0u);
}

// A tokenizer.json of the bytes and two merges.
nlohmann::json small_tokenizer_json() {
  nlohmann::json vocabulary;
  std::ifstream file(test_data("tokenizer/vocab.json"));
  const nlohmann::json all = nlohmann::json::parse(file);
  for (const auto& [token, id] : all.items())
    if (id < 256) vocabulary[token] = id;
  vocabulary["he"] = 256;
  vocabulary["hel"] = 257;
  return {{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"h e", "he l"}}}},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers",
             {{{"type", "Split"}, {"pattern", {{"Regex", kSplitPattern}}}, {"behavior", "Isolated"}, {"invert", false}},
              {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}}}}}},
          {"added_tokens", {{{"id", 258}, {"content", "<|im_end|>"}, {"special", true}, {"normalized", false}}}}};
}

TEST(TokenizerFiles, TokenizerJsonIsReadInBothForms) {
  const TemporaryFolder folder;
  nlohmann::json json = small_tokenizer_json();
  const auto ids = [&] {
    std::ofstream(folder / "tokenizer.json") << json.dump();
    return BytePairTokenizer::load(folder.path()).encode("hel<|im_end|>", AddedInText::kRecognised);
  };
  EXPECT_EQ(ids(), Ids({257, 258}));
  json["model"]["merges"] = nlohmann::json::parse(R"([["h", "e"], ["he", "l"]])");
  EXPECT_EQ(ids(), Ids({257, 258}));
}

TEST(TokenizerFiles, OthersAreRefusedByName) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& pointer, const nlohmann::json& value) {
    nlohmann::json json = small_tokenizer_json();
    json[nlohmann::json::json_pointer(pointer)] = value;
    std::ofstream(folder / "tokenizer.json") << json.dump();
    return error_text<WeightsError>([&] { BytePairTokenizer::load(folder.path()); });
  };
  EXPECT_THAT(refusal("/model/type", "Unigram"), HasSubstr("the model is \"Unigram\", wanted \"BPE\""));
  EXPECT_THAT(refusal("/normalizer/type", "NFKC"), HasSubstr("the normalizer is \"NFKC\""));
  EXPECT_THAT(refusal("/pre_tokenizer/pretokenizers/0/pattern/Regex", "\\w+"), HasSubstr("the split pattern is"));
  EXPECT_THAT(refusal("/pre_tokenizer/pretokenizers/1/add_prefix_space", true), HasSubstr("adds a space"));
  EXPECT_THAT(refusal("/model/merges/0", "he"), HasSubstr("is not two tokens"));
  EXPECT_THAT(refusal("/model/merges/0", "h q"), HasSubstr("'hq', which is no token"));
  EXPECT_THAT(refusal("/model/vocab/he", -4), HasSubstr("a token's id is -4"));
  EXPECT_THAT(refusal("/model/vocab/he", 257), HasSubstr("two tokens have the id 257"));
  EXPECT_THAT(refusal("/model/vocab", nlohmann::json::object()), HasSubstr("no vocabulary"));
  EXPECT_THAT(refusal("/added_tokens/0/lstrip", true), HasSubstr("lstrip"));
  std::filesystem::remove(folder / "tokenizer.json");
  EXPECT_THAT(error_text<WeightsError>([&] { BytePairTokenizer::load(folder.path()); }),
              HasSubstr("no tokenizer.json, nor vocab.json and merges.txt"));
}

}  // namespace
}  // namespace flashblock
