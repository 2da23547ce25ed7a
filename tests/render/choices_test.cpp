// What a prompt leaves open, chosen by the seed in words.
#include "render/choices.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "core/error.h"
#include "models/tokenizer.h"
#include "render/render_setup.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Phrases = std::vector<std::string>;

const std::vector<Choice> kChoices = {
    {.phrases = {"at the sea", "at the lake"}, .unless = {"sea", "hill", "lake"}, .when = {"boat", "duck"}},
    {.phrases = {"in the hills"}, .unless = {"sea", "hill", "lake"}},
    {.phrases = {"in red", "in blue", "in green"}, .unless = {"red", "blue", "green"}},
    {.phrases = {"view one", "view two", "view three", "view four", "view five", "view six", "view seven",
                 "view eight"}}};

std::string chosen_view(uint64_t seed) { return choose_phrases(kChoices, "a red hill", seed).at(0); }

TEST(Choices, AreMadeForWhatThePromptLeavesOpenAlone) {
  EXPECT_THAT(choose_phrases(kChoices, "a RED boat on the hill's Lake", 1), SizeIs(1));
  EXPECT_THAT(choose_phrases(kChoices, "red hills", 1), SizeIs(1)) << "a plural tells it as well";
  EXPECT_THAT(choose_phrases(kChoices, "red", 1), ElementsAre("in the hills", chosen_view(1)));
  EXPECT_THAT(choose_phrases(kChoices, "redder than a hilly place", 1), SizeIs(2)) << "whole words";
  EXPECT_THAT(choose_phrases({}, "a boat", 1), IsEmpty());
}

TEST(Choices, SeeThoseBeforeThem) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Phrases chosen = choose_phrases(kChoices, "a red boat", seed);
    ASSERT_THAT(chosen, SizeIs(2)) << "no hills at the sea";
    EXPECT_TRUE(chosen[0] == "at the sea" || chosen[0] == "at the lake");
  }
}

TEST(Choices, OfOnePhraseMayBeSeveral) {
  const std::vector<Choice> ways = {{.phrases = {"heading left"}, .unless = {"left"}},
                                    {.phrases = {"heading left"}, .unless = {"heading"}, .when = {"pan"}}};
  const Phrases chosen = {"heading left"};
  for (const char* prompt : {"a car", "pan left, a car"}) {
    EXPECT_EQ(choose_phrases(ways, prompt, 1), chosen) << prompt;
    EXPECT_EQ(left_open(chosen, prompt, ways), chosen) << prompt;
  }
  EXPECT_THAT(choose_phrases(ways, "a car to the left", 1), IsEmpty());
  EXPECT_THAT(left_open(chosen, "a car to the left", ways), IsEmpty());
}

TEST(Choices, OfSeedsInARowAreDifferentAndOverallEven) {
  std::map<std::string, int> count;
  std::set<Phrases> together;
  for (uint64_t seed = 0; seed < 800; seed += 8) {
    std::set<std::string> views;
    for (uint64_t next = seed; next < seed + 8; ++next) {
      views.insert(chosen_view(next));
      together.insert(choose_phrases(kChoices, "a ball on a hill", next));
    }
    EXPECT_THAT(views, SizeIs(8)) << seed;
    ++count[chosen_view(seed)];
  }
  for (const auto& [view, times] : count) EXPECT_NEAR(times, 12, 10) << view;
  EXPECT_THAT(count, SizeIs(8));
  EXPECT_THAT(together, SizeIs(3 * 8)) << "colour and view are independent";
}

TEST(Choices, OfASeedStayTheSame) {
  // Stored videos depend on it.
  EXPECT_THAT(choose_phrases(kChoices, "a boat", 7), ElementsAre("at the lake", "in blue", "view two"));
}

TEST(Choices, StandBehindThePromptsLastWord) {
  EXPECT_EQ(with_phrases("A hill.", {"in red", "view one"}), "A hill, in red, view one");
  EXPECT_EQ(with_phrases("A hill. \n", {}), "A hill. \n") << "without choices a prompt is as it was";
}

RenderConfig choosing_config(std::vector<PromptChange> timeline) {
  RenderConfig config;
  config.prompt = "a hill";
  config.timeline = std::move(timeline);
  config.width = 96;
  config.height = 64;
  config.fps = 8;
  config.frames = 45;
  config.seed = 7;
  config.model.choices = kChoices;
  config.model.knows = {"a", "hill", "night", "blue"};
  config.model.recipe.frames_per_block = 2;
  return config;
}

const ModelSizes kChoosing{.transformer = {.dim = 192, .heads = 3, .layers = 2, .in_channels = 48, .out_channels = 48},
                           .strides = published_strides(48)};

TEST(ChoicesOfAVideo, HoldForAllOfItsPromptsAsFarAsTheyLeaveThemOpen) {
  const RenderConfig config =
      choosing_config({{.seconds = 1, .prompt = "night"}, {.seconds = 2, .prompt = "a blue hill"}});
  const RenderSetup setup = set_up_render(config, kChoosing);
  ASSERT_THAT(setup.choices, SizeIs(2));
  const std::string color = setup.choices[0], view = setup.choices[1];
  EXPECT_EQ(encoded_text(setup, "a hill"), "a hill, " + color + ", " + view);
  EXPECT_EQ(encoded_text(setup, "night"), "night, " + color + ", " + view) << "no landscape: the first prompt has one";
  EXPECT_EQ(encoded_text(setup, "a blue hill"), "a blue hill, " + view);
  EXPECT_EQ(planned_prompts(setup)[1].text, "night");
  EXPECT_THAT(setup.warnings, IsEmpty()) << "what the program adds is not the user's";
}

TEST(ChoicesOfAVideo, AreThoseOfTheConfigurationIfItHasThem) {
  RenderConfig config = choosing_config({});
  config.choices = {"view two"};
  EXPECT_THAT(set_up_render(config, kChoosing).choices, ElementsAre("view two"));
  config.choices.emplace();
  EXPECT_THAT(set_up_render(config, kChoosing).choices, IsEmpty());
}

/// A text encoder of `tokens` tokens, the end token with them.
ModelSizes reading(int64_t tokens) {
  ModelSizes sizes = kChoosing;
  sizes.transformer.text_len = tokens;
  sizes.tokenizer = std::make_shared<LazyTokenizer>(testing::test_data("../../assets/demo/spiece.model"));
  return sizes;
}

TEST(ChoicesOfAVideo, AreSeenWholeBehindAPromptThatIsTooLong) {
  const ModelSizes sizes = reading(24);
  const auto seen = [&](const std::string& text) {
    const TokenIds tokens = sizes.tokenizer->get().encode(text, 24);
    return tokens.used_tokens == tokens.prompt_tokens;
  };
  std::string words = "night";
  for (int i = 0; i < 30; ++i) words += " over a hill";
  for (const std::string& prompt : {words, std::string(300, 'q'), std::string("a hill")}) {
    RenderConfig config = choosing_config({{.seconds = 1, .prompt = prompt}});
    config.prompt = prompt;
    const RenderSetup setup = set_up_render(config, sizes);
    const std::string phrases = with_phrases("", left_open(setup.choices, prompt, kChoices));
    const std::string text = encoded_text(setup, prompt);
    ASSERT_THAT(text, EndsWith(phrases));
    EXPECT_TRUE(seen(text)) << text;
    const std::string kept = text.substr(0, text.size() - phrases.size());
    EXPECT_TRUE(prompt.starts_with(kept)) << kept;
    if (kept == prompt) {
      EXPECT_THAT(setup.truncated_prompts, IsEmpty());
      continue;
    }
    const size_t next = prompt.find(' ', kept.size() + 1);
    EXPECT_FALSE(seen(prompt.substr(0, next) + phrases)) << "there was room for another word";
    ASSERT_THAT(setup.truncated_prompts, SizeIs(2)) << "of prompt and timeline";
    const TruncatedPrompt& truncated = setup.truncated_prompts[0];
    EXPECT_EQ(truncated.used, sizes.tokenizer->get().encode(kept, 24).prompt_tokens);
    EXPECT_GT(truncated.tokens, truncated.used);
    EXPECT_THAT(setup.warnings.front(), HasSubstr(" before the chosen phrases: it does not see the end"));
  }
  RenderConfig plain = choosing_config({});
  plain.prompt = words;
  plain.choices.emplace();
  const RenderSetup setup = set_up_render(plain, sizes);
  EXPECT_EQ(encoded_text(setup, words), words);
  EXPECT_EQ(setup.truncated_prompts.at(0).used, 23) << "without phrases all of the room is the prompt's";
}

TEST(ChoicesOfAVideo, AreRefusedIfTheyAreLongerThanTheTextEncoderTakes) {
  RenderConfig config = choosing_config({});
  config.choices = Phrases(12, "view two");
  try {
    set_up_render(config, reading(24));
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("and the text encoder takes 23: wanted fewer or shorter ones"));
  }
}

TEST(ChoicesOfAVideo, StayWhenAnotherFirstPromptIsTaken) {
  RenderSetup setup = set_up_render(choosing_config({}), kChoosing);
  place_prompt(setup, 3, "night");
  EXPECT_FALSE(setup.config.choices);
  place_prompt(setup, 0, "a boat");
  EXPECT_EQ(set_up_render(setup.config, kChoosing).choices, setup.choices)
      << "the configuration that results gives the same video";
}

}  // namespace
}  // namespace flashblock
