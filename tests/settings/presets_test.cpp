// The model files of published models, configs/models.
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "core/error.h"
#include "models/known_checkpoints.h"
#include "settings/model_file.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

using ::testing::HasSubstr;

std::filesystem::path presets() { return testing::test_data("../../configs/models"); }

TEST(Presets, AllAreReadAndNamedAfterTheirFiles) {
  std::set<std::string> refused;
  for (const auto& file : std::filesystem::directory_iterator(presets())) {
    SCOPED_TRACE(file.path().string());
    try {
      const ModelDescription model = load_model_file(file.path());
      EXPECT_EQ(model.name, file.path().stem());
      EXPECT_TRUE(model.has_sources);
      EXPECT_FALSE(model.text_encoder.path.empty() || model.tokenizer.empty() || model.vae.path.empty());
      EXPECT_EQ(model.defaults.width, model.name.ends_with("-5b") ? 1280 : 832);
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("this model cannot be rendered: "));
      refused.insert(file.path().stem());
    }
  }
  EXPECT_EQ(refused, (std::set<std::string>{"causal-forcing-longvideo", "rolling-forcing", "wan2.2-a14b"}));
}

TEST(Presets, ThoseThatInfoNamesExist) {
  for (const PresetOfFile& known : presets_of_files())
    EXPECT_NO_THROW(load_model_file(presets() / (std::string(known.preset) + ".yaml"))) << known.preset;
}

TEST(Presets, HaveThePublishedRecipes) {
  const auto recipe = [](const char* name) {
    return load_model_file(presets() / (std::string(name) + ".yaml")).recipe;
  };
  EXPECT_EQ(recipe("self-forcing-dmd").steps, (std::vector<double>{1000, 750, 500, 250}));
  EXPECT_EQ(recipe("self-forcing-dmd").window_frames, 21);
  EXPECT_EQ(recipe("longlive-1.3b").window_frames, 12);
  EXPECT_EQ(recipe("longlive-1.3b").sink_frames, 3);
  for (const char* name : {"sgf-chunkwise", "opsdv-longlive", "opsdv-self-forcing"}) {
    EXPECT_EQ(recipe(name).window_frames, 12);
    EXPECT_EQ(recipe(name).sink_frames, 3);
    EXPECT_EQ(recipe(name).position_frames, 12);
  }
  EXPECT_EQ(recipe("sgf-framewise").frames_per_block, 1);
  EXPECT_EQ(recipe("sgf-framewise").position_frames, 21);
  EXPECT_EQ(recipe("causal-forcing-framewise-1step").steps.size(), 1u);
  EXPECT_EQ(recipe("causal-forcing-framewise-1step").first_steps.size(), 4u);
  EXPECT_EQ(recipe("causvid").steps, (std::vector<double>{1000, 757, 522}));
  EXPECT_FALSE(recipe("causvid").warp_steps);
  EXPECT_EQ(recipe("causvid").timestep_shift, 8);
  EXPECT_EQ(recipe("wan2.1-t2v-14b").unipc_steps, 50);
  EXPECT_EQ(recipe("wan2.2-ti2v-5b").frames_per_block, 31);
  EXPECT_EQ(recipe("longlive-2-5b").unipc_steps, 4);
  EXPECT_EQ(recipe("longlive-2-5b").window_frames, 32);
  EXPECT_FALSE(recipe("longlive-2-5b").kv_recache);
  EXPECT_EQ(recipe("longlive-2-5b").shot_offset_frames, 8);
  for (const char* name : {"longlive-2-5b", "wan2.2-ti2v-5b"}) EXPECT_TRUE(recipe(name).image_in_first_block);
  EXPECT_EQ(to_string(recipe("reward-forcing").context_rule), "ema_sink");
  EXPECT_EQ(recipe("reward-forcing").position_frames, 9);
  EXPECT_EQ(to_string(recipe("memflow").context_rule), "memory_bank");
  EXPECT_EQ(to_string(recipe("krea-realtime-14b").context_rule), "recomputed");
  EXPECT_EQ(recipe("sgf-plus-chunkwise").position_frames, 12);
}

}  // namespace
}  // namespace flashblock
