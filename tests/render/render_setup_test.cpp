// What follows from a configuration: shots, starts from an image, and what is refused.
#include "render/render_setup.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "settings/config_file.h"
#include "settings/model_file.h"
#include "tests/support/error_text.h"

namespace flashblock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Blocks of 2 latent frames; the second one begins at 5 frames, later ones are 8 frames each.
RenderConfig config_of(std::vector<PromptChange> timeline) {
  RenderConfig config;
  config.model.name = "small";
  config.prompt = "a hill";
  config.timeline = std::move(timeline);
  config.width = 96;
  config.height = 64;
  config.fps = 8;
  config.frames = 45;  // 12 latent frames, 6 blocks
  config.seed = 1;
  config.model.recipe.frames_per_block = 2;
  config.model.recipe.kv_recache = false;
  config.model.recipe.shot_offset_frames = 8;
  return config;
}

const ModelSizes kModel{.transformer = {.dim = 192, .heads = 3, .layers = 2, .in_channels = 48, .out_channels = 48},
                        .strides = published_strides(48)};

std::vector<std::pair<int64_t, std::string>> texts(const RenderSetup& setup) {
  std::vector<std::pair<int64_t, std::string>> result;
  for (const PlannedPrompt& prompt : planned_prompts(setup)) result.emplace_back(prompt.block, prompt.text);
  return result;
}

/// What is said of the parts in 8 bits, on a CPU.
std::string precision_of(const std::string& yaml, int64_t decoder_width = 96) {
  RenderConfig config = config_of({});
  read_settings({.values = parse_yaml(yaml, "test"), .folder = "/"}, config);
  config.device = "cpu";
  config.dtype = "bfloat16";
  ModelSizes model = kModel;
  model.decoder_width = decoder_width;
  return set_up_render(config, model).precision;
}

TEST(Precision, SaysWhatRunsInEightBits) {
  EXPECT_EQ(precision_of("precision: native"), "");
  EXPECT_EQ(
      precision_of("precision: int8"),
      "linears, internal attention, external attention, KV cache, decoder in 8 bits; without kernels for it here, "
      "so slower than bfloat16: linears, internal attention, external attention, decoder");
  EXPECT_EQ(precision_of("precision: {kv_cache: int8}"), "KV cache in 8 bits");
  EXPECT_EQ(precision_of("precision: {decoder: int8}", 0), "decoder (a small one) in bfloat16");
  EXPECT_EQ(precision_of("{precision: {kv_cache: int8, internal: int8}, attention: exact}"),
            "KV cache in 8 bits; internal attention (attention is exact) in bfloat16");
}

TEST(Shots, BeginWhereTheTimelineSaysSoInEitherWay) {
  const RenderSetup setup =
      set_up_render(config_of({{.seconds = 1, .prompt = "a lake"},
                               {.seconds = 2, .prompt = "The scene transitions. night", .shot = true},
                               {.seconds = 3, .prompt = "The scene transitions. dawn"},
                               {.seconds = 5, .shot = true}}),
                    kModel);
  EXPECT_THAT(setup.change_blocks, ElementsAre(1, 2, 3, 5));
  EXPECT_THAT(setup.shots, ElementsAre(2, 3, 5));
  using Text = std::pair<int64_t, std::string>;
  EXPECT_THAT(texts(setup), ElementsAre(Text(0, "a hill"), Text(1, "a lake"), Text(2, "The scene transitions. night"),
                                        Text(3, "The scene transitions. dawn"), Text(4, "dawn"),
                                        Text(5, "The scene transitions. dawn")))
      << "the words of a cut are in the text of its first block alone";
}

TEST(Shots, AreWordsOnlyInModelsWithoutThem) {
  RenderConfig config = config_of({{.seconds = 2, .prompt = "The scene transitions. night"}});
  config.model.recipe.shot_offset_frames = 0;
  EXPECT_THAT(set_up_render(config, kModel).shots, IsEmpty());
  config.timeline.front().shot = true;
  EXPECT_THAT(error_text<ConfigError>([&] { set_up_render(config, kModel); }), HasSubstr("small has no shots"));
  RenderConfig first = config_of({{.seconds = 0.1, .shot = true}});
  EXPECT_THAT(error_text<ConfigError>([&] { set_up_render(first, kModel); }), HasSubstr("first frame block"));
}

TEST(Shots, FollowPromptsThatArriveWhileTheVideoIsRendered) {
  RenderSetup setup = set_up_render(config_of({{.seconds = 2, .shot = true}}), kModel);
  place_prompt(setup, 4, "The scene transitions. a lake");
  EXPECT_THAT(setup.shots, ElementsAre(2, 4));
  place_prompt(setup, 2, "a wood");
  EXPECT_THAT(setup.shots, ElementsAre(4)) << "it takes the place of the cut";
  const RenderSetup again = set_up_render(setup.config, kModel);
  EXPECT_THAT(again.shots, ElementsAre(4));
  EXPECT_EQ(texts(again), texts(setup));
  end_after(setup, 3, 21);
  EXPECT_THAT(setup.shots, IsEmpty());
}

TEST(Recipes, OfShotsAndContextRulesAreRefusedWhereTheyDoNotFit) {
  const auto fault = [](const auto& change) {
    Recipe recipe{.frames_per_block = 3, .window_frames = 12, .sink_frames = 3, .kv_recache = false};
    change(recipe);
    return error_text<ConfigError>([&] { check_recipe(recipe, "recipe"); });
  };
  const auto shots = [&](const auto& change) {
    return fault([&](Recipe& recipe) {
      recipe.shot_offset_frames = 8;
      change(recipe);
    });
  };
  EXPECT_THAT(shots([](Recipe& recipe) { recipe.window_frames = 9; }), HasSubstr("at least 12"));
  EXPECT_THAT(shots([](Recipe& recipe) { recipe.sink_frames = 1; }), HasSubstr("sink_frames 3"));
  EXPECT_THAT(shots([](Recipe& recipe) { recipe.kv_recache = true; }), HasSubstr("kv_recache false"));
  EXPECT_THAT(fault([](Recipe& recipe) {
                recipe.context_rule = "ema_sink";
                recipe.sink_frames = 2;
              }),
              AllOf(HasSubstr("ema_sink"), HasSubstr("sink_frames 3")));
  EXPECT_THAT(fault([](Recipe& recipe) { recipe.context_rule = "recomputed"; }),
              AllOf(HasSubstr("window_frames 6"), HasSubstr("sink_frames 0")));
  EXPECT_THAT(fault([](Recipe& recipe) {
                recipe.context_rule = "memory_bank";
                recipe.independent_first_frame = true;
              }),
              HasSubstr("independent_first_frame"));
}

TEST(Recipes, OfARecomputedContextAreRefusedWithADecoderOfTwiceTheSize) {
  RenderConfig config = config_of({});
  config.model.recipe.context_rule = "recomputed";
  config.model.recipe.shot_offset_frames = 0;
  ModelSizes model = kModel;
  EXPECT_NO_THROW(set_up_render(config, model));
  model.strides.upscale = 2;
  EXPECT_THAT(error_text<ConfigError>([&] { set_up_render(config, model); }),
              AllOf(HasSubstr("recomputed"), HasSubstr("twice the size")));
}

TEST(Warnings, NameTheWordsThatTheModelWasNotTrainedOn) {
  RenderConfig config = config_of({{.seconds = 2, .prompt = "The scene transitions. two cats"}});
  config.prompt = "Hills, and a Sofa on a hill";
  config.model.name = "small";
  EXPECT_THAT(set_up_render(config, kModel).warnings, IsEmpty()) << "the model does not tell what it knows";
  config.model.knows = {"hill", "and", "on", "two"};
  EXPECT_THAT(set_up_render(config, kModel).warnings, ElementsAre("small was not trained on 'sofa' and 'cats'"));
  config.model.about = "hills";
  EXPECT_THAT(prompt_warnings(config.model, "aa bb cc dd ee ff gg"),
              ElementsAre("small was not trained on 'aa', 'bb', 'cc', 'dd', 'ee' and 2 others; it knows hills"));
  EXPECT_THAT(prompt_warnings(config.model, "hills"), IsEmpty());
}

TEST(CleanPassWeights, ExcludePoliciesThatReuseIntoTheCleanPass) {
  TransformerConfig model = kModel.transformer;
  model.clean_pass_weights = true;
  const Recipe recipe;
  for (const char* policy : {"every_pass", "first_and_clean_pass"})
    EXPECT_NO_THROW(check_attention({.refresh = policy}, recipe, model)) << policy;
  for (const char* policy : {"first_pass", "error_bound"}) {
    EXPECT_THAT(error_text<ConfigError>([&] { check_attention({.refresh = policy}, recipe, model); }),
                AllOf(HasSubstr(policy), HasSubstr("weights of its own")));
    EXPECT_NO_THROW(check_attention({.refresh = policy}, recipe, kModel.transformer)) << policy;
  }
  EXPECT_NO_THROW(check_attention({.mode = AttentionConfig::Mode::kExact, .refresh = "first_pass"}, recipe, model));
}

}  // namespace
}  // namespace flashblock
