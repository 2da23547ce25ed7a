#include "settings/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <fstream>

#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

using testing::error_text;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

/// A folder with a model file and whatever a test adds.
class ConfigFile : public ::testing::Test {
 protected:
  ConfigFile() {
    write("model.yaml",
          "name: small\ntransformer: t.safetensors\nvae: v.safetensors\n"
          "recipe: {frames_per_block: 3, window_frames: 12, sink_frames: 3, steps: [1000, 500]}\n"
          "defaults: {size: 96x64, fps: 8, seconds: 3}\n");
  }

  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  ConfigLayer option(const std::string& key, const std::string& value) {
    return make_config_layer("--" + key, key, YAML::Load(value));
  }

  /// The configuration of `text` in a file, with `options` on top.
  RenderConfig resolve(const std::string& text, const std::vector<ConfigLayer>& options = {}) {
    std::vector<ConfigLayer> layers = {load_config_layer(write("video.yaml", text))};
    layers.insert(layers.end(), options.begin(), options.end());
    return resolve_config(layers);
  }

  TemporaryFolder folder_;
};

TEST_F(ConfigFile, TakesDefaultsFromTheModel) {
  const RenderConfig config = resolve("{model: model.yaml, prompt: a hill}");
  EXPECT_EQ(config.width, 96);
  EXPECT_EQ(config.height, 64);
  EXPECT_EQ(config.fps, 8);
  EXPECT_EQ(config.rendered_frames(), 24);
  EXPECT_EQ(config.model.recipe.sink_frames, 3);
  EXPECT_TRUE(config.seed.has_value());
  EXPECT_EQ(config.attention.mode, AttentionConfig::Mode::kFlashblock);
}

TEST_F(ConfigFile, LaterLayersWin) {
  const RenderConfig config =
      resolve("{model: model.yaml, prompt: a hill, frames: 20, size: 48x32, recipe: {sink_frames: 0}}",
              {option("seconds", "2"), option("recipe.steps", "[1000]"), option("seed", "7")});
  EXPECT_EQ(config.rendered_frames(), 16) << "seconds of the command line, not frames of the file";
  EXPECT_EQ(config.width, 48);
  EXPECT_EQ(config.model.recipe.sink_frames, 0);
  EXPECT_EQ(config.model.recipe.steps, std::vector<double>{1000});
  EXPECT_EQ(config.seed, 7u);
}

TEST_F(ConfigFile, PathsOfAFileAreRelativeToIt) {
  const RenderConfig config = resolve("{model: model.yaml, prompt: a, output: videos/a.mp4, replay: r.safetensors}");
  EXPECT_EQ(config.output, folder_ / "videos/a.mp4");
  EXPECT_EQ(config.replay, folder_ / "r.safetensors");
}

TEST_F(ConfigFile, ReadsAPromptFromAFile) {
  write("prompt.txt", "two hills\nand a lake\n\n");
  EXPECT_EQ(resolve("{model: model.yaml, prompt_file: prompt.txt}").prompt, "two hills\nand a lake");
}

TEST_F(ConfigFile, WhatIsWrittenIsReadAgain) {
  RenderConfig config = resolve(
      "model: model.yaml\nprompt: 'a \"quoted\" hill: 100 %'\ntimeline: [{at: 0.5, prompt: night}, {at: 2, prompt: "
      "'7'}, {at: 3, shot: true}, {at: 4, prompt: a lake, shot: true}]\n"
      "size: 48x32\nfps: 12\nframes: 30\nseed: 18446744073709\nimage: a.png\nattention: {mode: exact, refresh: "
      "every_pass}\n"
      "device: cpu\ndtype: float32\noverlap: false\noverwrite: true\nmetadata: false\n"
      "encoder: {preset: medium, crf: 20, threads: 2}\noutput: x.mp4\nrecord: r.safetensors\nreplay: s.safetensors\n"
      "contact_sheet: c.png\n"
      "output_options: {codec: hevc, pixel_format: yuv420p10le, audio: a.wav, tee: ['udp://host:1', x.ts]}\n"
      "recipe: {frames_per_block: 1, window_frames: -1, sink_frames: 0, timestep_shift: 8.5, steps: [1000, 333],\n"
      "         first_steps: [1000, 900], warp_steps: false, context_noise: 12.5, kv_recache: false,\n"
      "         guidance_scale: 3, negative_prompt: 'no, hills', unipc_steps: 50, context_rule: memory_bank,\n"
      "         bank_frames: 2, bank_interval: 4, bank_latest_block: true,\n"
      "         image_in_first_block: true}\n");
  const std::string yaml = config_yaml(config);
  const RenderConfig again = resolve(yaml);
  EXPECT_EQ(config_yaml(again), yaml);
  EXPECT_EQ(again.prompt, "a \"quoted\" hill: 100 %");
  ASSERT_EQ(again.timeline.size(), 4u);
  EXPECT_EQ(again.timeline[1].prompt, "7");
  EXPECT_FALSE(again.timeline[1].shot);
  EXPECT_TRUE(again.timeline[2].shot);
  EXPECT_EQ(again.timeline[2].prompt, "") << "a cut alone";
  EXPECT_TRUE(again.timeline[3].shot);
  EXPECT_EQ(again.timeline[3].prompt, "The scene transitions. a lake");
  EXPECT_EQ(to_string(again.model.recipe.context_rule), "memory_bank");
  EXPECT_EQ(again.model.recipe.bank_interval, 4);
  EXPECT_TRUE(again.model.recipe.bank_latest_block);
  EXPECT_EQ(again.seed, 18446744073709u);
  EXPECT_EQ(again.model.recipe.first_steps, (std::vector<double>{1000, 900}));
  EXPECT_FALSE(again.model.recipe.kv_recache);
  EXPECT_FALSE(again.overlap);
  EXPECT_EQ(again.output_options.codec, "hevc");
  EXPECT_EQ(again.output_options.audio, folder_ / "a.wav");
  EXPECT_EQ(again.output_options.tee, (std::vector<std::string>{"udp://host:1", folder_ / "x.ts"}));
}

TEST_F(ConfigFile, AVideoForStandardOutputHasANameForItsSegments) {
  const RenderConfig config = resolve("model: model.yaml\nprompt: a hill\nseed: 7\noutput: \"-.y4m\"\n");
  EXPECT_EQ(config.standard_output, "-.y4m");
  EXPECT_EQ(config.output.filename(), "flashblock-7-a-hill.stream");
  EXPECT_EQ(resolve(config_yaml(config)).standard_output, "-.y4m");
  EXPECT_EQ(video_format(config).encoding, (VideoEncoding{VideoCodec::kFfv1, "yuv420p"}));
  EXPECT_EQ(resolve("model: model.yaml\nprompt: a hill\noutput: x.mkv\n").standard_output, "");
  EXPECT_THROW(resolve("model: model.yaml\nprompt: a hill\noutput: x.mkv\noutput_options: {codec: prores}\n"),
               ConfigError);
}

struct BadConfig {
  const char* name;
  const char* text;
  std::vector<const char*> complaint;  ///< all of these are in the message
};

class BadConfigs : public ConfigFile, public ::testing::WithParamInterface<BadConfig> {};

TEST_P(BadConfigs, AreRefusedWithPlaceAndReason) {
  const std::string message = error_text<ConfigError>([&] { resolve(GetParam().text); });
  for (const char* words : GetParam().complaint) EXPECT_NE(message.find(words), std::string::npos) << message;
  EXPECT_NE(message.find("video.yaml"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(
    All, BadConfigs,
    ::testing::Values(
        BadConfig{"unknown", "model: model.yaml\nprmpt: a\n", {":2", "prmpt", "prompt"}},
        BadConfig{"two_prompts", "{model: model.yaml, prompt: a, prompt_file: b}", {"two prompts"}},
        BadConfig{"empty_prompt", "{model: model.yaml, prompt: ' '}", {"prompt", "empty"}},
        BadConfig{"no_prompt_file", "{model: model.yaml, prompt_file: gone.txt}", {"gone.txt"}},
        BadConfig{"two_lengths", "{model: model.yaml, seconds: 1, frames: 3}", {"frames", "seconds"}},
        BadConfig{"negative_length", "{model: model.yaml, seconds: -1}", {"seconds", "-1"}},
        BadConfig{"no_frames", "{model: model.yaml, frames: 0}", {"frames", "0"}},
        BadConfig{"seed_text", "{model: model.yaml, seed: lucky}", {"seed", "lucky"}},
        BadConfig{"size", "{model: model.yaml, size: big}", {"size", "big"}},
        BadConfig{"attention", "{model: model.yaml, attention: fast}", {"attention", "fast", "flashblock"}},
        BadConfig{"refresh", "{model: model.yaml, attention: {refresh: never}}", {"never", "first_pass"}},
        BadConfig{"timeline", "{model: model.yaml, timeline: [{at: 3}]}", {"timeline", "prompt"}},
        BadConfig{"rule", "{model: model.yaml, recipe: {context_rule: bank}}", {"context_rule", "memory_bank"}},
        BadConfig{"shot", "{model: model.yaml, timeline: [{at: 3, shot: 1}]}", {"shot"}},
        BadConfig{"timeline_key", "{model: model.yaml, timeline: [{at: 3, prompt: a, to: 4}]}", {"to"}},
        BadConfig{"crf", "{model: model.yaml, encoder: {crf: 99}}", {"crf", "99"}},
        BadConfig{"overlap", "{model: model.yaml, overlap: maybe}", {"overlap", "maybe"}},
        BadConfig{"recipe", "{model: model.yaml, recipe: {sink: 3}}", {"sink"}},
        BadConfig{"duplicate", "model: model.yaml\nseed: 1\nseed: 2\n", {"seed", ":3"}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(ConfigFile, NamesTheOptionOfABadValue) {
  const std::string message =
      error_text<ConfigError>([&] { resolve("{model: model.yaml, prompt: a}", {option("seconds", "soon")}); });
  EXPECT_EQ(message.rfind("--seconds: ", 0), 0u) << message;
  EXPECT_NE(message.find("soon"), std::string::npos) << message;
}

TEST_F(ConfigFile, RefusesARecipeThatContradictsItself) {
  EXPECT_THROW(resolve("{model: model.yaml, prompt: a, recipe: {window_frames: 4, sink_frames: 3}}"), ConfigError);
}

TEST_F(ConfigFile, RefusesAnImageAndAVideo) {
  EXPECT_THROW(resolve("{model: model.yaml, prompt: a, image: a.png, video: b.mp4}"), ConfigError);
}

TEST_F(ConfigFile, SaysWhereItLookedForAModel) {
  try {
    resolve("{model: imaginary, prompt: a}");
    FAIL() << "there is no such model";
  } catch (const WeightsError& error) {
    EXPECT_THAT(error.what(), HasSubstr("imaginary"));
    ASSERT_EQ(error.remedies().size(), 1u);
    EXPECT_EQ(error.remedies()[0].key, "model");
  }
}

TEST(DefaultVideoName, HasSeedAndWords) {
  EXPECT_EQ(default_video_name(7, "A red Balloon, drifting!"), "flashblock-7-a-red-balloon-drifting.mp4");
  EXPECT_EQ(default_video_name(7, ""), "flashblock-7.mp4");
  EXPECT_EQ(default_video_name(7, "../../etc/passwd"), "flashblock-7-etc-passwd.mp4");
  EXPECT_EQ(default_video_name(7, "ein Fluß"), "flashblock-7-ein-fluß.mp4");
  EXPECT_LE(default_video_name(7, std::string(1000, 'a') + " b").size(), 80u);
}

/// Runs in a folder with these empty folders in it.
class CurrentFolder {
 public:
  explicit CurrentFolder(const std::vector<std::string>& folders) : before_(std::filesystem::current_path()) {
    for (const std::string& name : folders) std::filesystem::create_directory(folder_ / name);
    std::filesystem::current_path(folder_.path());
  }
  ~CurrentFolder() { std::filesystem::current_path(before_); }
  CurrentFolder(const CurrentFolder&) = delete;
  CurrentFolder& operator=(const CurrentFolder&) = delete;

 private:
  std::filesystem::path before_;
  TemporaryFolder folder_;
};

TEST(IncludedModels, AreFoundWhateverTheCurrentFolderHolds) {
  const std::filesystem::path models = testing::test_data("../../assets");
  setenv("FLASHBLOCK_MODELS", models.c_str(), 1);
  {
    const CurrentFolder folder({"demo", "story"});
    const RenderConfig config = resolve_config({make_config_layer("--prompt", "prompt", YAML::Node("a red ball")),
                                                make_config_layer("--expand", "expand", YAML::Node("true"))});
    EXPECT_TRUE(std::filesystem::equivalent(config.model.transformer.path.parent_path(), models / "demo"));
    EXPECT_TRUE(std::filesystem::equivalent(config.expand, models / "story"));
  }
  unsetenv("FLASHBLOCK_MODELS");
}

}  // namespace
}  // namespace flashblock
