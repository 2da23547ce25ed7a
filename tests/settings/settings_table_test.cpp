// The settings table, and that one row is all that a key needs.
#include "settings/settings_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/sha256.h"
#include "settings/config_file.h"
#include "settings/config_identity.h"
#include "tests/settings/config_page.h"
#include "tests/support/error_text.h"

namespace flashblock {
namespace {

using ::testing::Contains;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

/// A key that no part of the program knows, over a field that no other row uses.
Setting synthetic_setting() {
  return {.name = "sampler.jitter",
          .field = fields::number(
              fields::field(&RenderConfig::model, &ModelDescription::defaults, &VideoDefaults::seconds), 0, 9),
          .help = "Jitter of the sampler",
          .option = {.names = {"--jitter"}, .group = "Video", .type = "X"}};
}

std::string setting_text(double value) { return fields::setting_value(value).dump(); }

RenderConfig read(const std::string& yaml) {
  RenderConfig config;
  read_settings({.values = parse_yaml(yaml, "video.yaml"), .folder = "/videos"}, config);
  return config;
}

TEST(SettingsTable, ARowIsAllThatAKeyNeeds) {
  EXPECT_THAT(error_text<ConfigError>([] { read("sampler: {jitter: 3}"); }), HasSubstr("sampler: unknown key"));
  const AddedSetting row(synthetic_setting());
  // Read from files and from --set.
  RenderConfig config = read("sampler: {jitter: 2.5}");
  EXPECT_EQ(config.model.defaults.seconds, 2.5);
  read_settings(make_config_layer("--set", "sampler.jitter", YAML::Load("3")), config);
  EXPECT_EQ(config.model.defaults.seconds, 3);
  EXPECT_EQ(error_text<ConfigError>([] { read("sampler: {jitter: 10}"); }),
            "video.yaml:1: sampler.jitter: found \"10\", wanted a number from 0 to 9");
  EXPECT_THAT(error_text<ConfigError>([] { read("sampler: {jiter: 1}"); }), HasSubstr("did you mean jitter?"));
  // Written to the sidecar and to the metadata of the video.
  EXPECT_EQ(config_json(config).at("sampler").at("jitter"), 3);
  EXPECT_THAT(config_yaml(config), HasSubstr("sampler:\n  jitter: 3\n"));
  EXPECT_EQ(read(config_yaml(config)).model.defaults.seconds, 3);
  // Part of the identity.
  EXPECT_THAT(identity_facts(config), Contains(Pair("sampler.jitter", "3")));
  // And documented.
  EXPECT_THAT(testing::settings_page(), HasSubstr("| `sampler.jitter` | Jitter of the sampler |"));
}

TEST(SettingsTable, NamesAreUniqueAndGroupsStandTogether) {
  std::set<std::string> names, groups;
  std::string group;
  for (const Setting& setting : settings_table()) {
    SCOPED_TRACE(setting.name);
    EXPECT_TRUE(names.insert(setting.name).second);
    const std::string parent = split_key(setting.name).first;
    EXPECT_TRUE(parent == group || parent.empty() || groups.insert(parent).second);
    group = parent;
    EXPECT_FALSE(setting.help.empty() || setting.field.values.empty());
    EXPECT_NE(setting.help.back(), '.');
    EXPECT_TRUE(setting.field.read && setting.field.write && setting.field.reset);
    EXPECT_TRUE(setting.traits.excludes.empty() || names.contains(setting.traits.excludes))
        << "the option must exist by then";
  }
}

TEST(SettingsTable, OnePrecisionIsThatOfAllParts) {
  const auto parts = [](const RenderConfig& config) {
    const auto json = config_json(config).at("precision");
    std::string text;
    for (const char* part : {"linears", "internal", "external", "kv_cache", "decoder"})
      text += json.at(part).get<std::string>() + " ";
    return text;
  };
  EXPECT_EQ(parts(read("precision: int8")), "int8 int8 int8 int8 int8 ");
  EXPECT_EQ(parts(read("precision: {}")), "native native native native native ");
  EXPECT_EQ(parts(read("precision: {kv_cache: int8}")), "native native native int8 native ");
  // A later layer names single parts, or all of them again.
  RenderConfig config = read("precision: int8");
  read_settings(make_config_layer("--set", "precision.decoder", YAML::Load("native")), config);
  EXPECT_EQ(parts(config), "int8 int8 int8 int8 native ");
  EXPECT_EQ(parts(read(config_yaml(config))), "int8 int8 int8 int8 native ");
  read_settings(make_config_layer("--precision", "precision", YAML::Load("native")), config);
  EXPECT_EQ(parts(config), "native native native native native ");
}

TEST(SettingsTable, ACalibrationIsUsedByInt8LinearsAlone) {
  const RenderConfig config = read("precision: {linears: int8, calibration: c.safetensors}");
  EXPECT_EQ(config.precision.calibration, "/videos/c.safetensors");
  EXPECT_THAT(identity_files(config), Contains(Pair("precision.calibration", "/videos/c.safetensors")));
  EXPECT_NE(model_key(config), model_key(read("precision: {linears: int8}")));
  EXPECT_THAT(identity_files(read("precision: {calibration: c.safetensors}")), ::testing::IsEmpty());
  EXPECT_EQ(read("precision: int8").precision.calibration, "");
}

TEST(SettingsTable, PrecisionOfPartsThatDoNotExistIsRefusedByName) {
  EXPECT_THAT(error_text<ConfigError>([] { read("precision: fp8"); }),
              HasSubstr("'fp8' is unknown; possible are native"));
  EXPECT_THAT(error_text<ConfigError>([] { read("precision: {text: int8}"); }),
              HasSubstr("video.yaml:1: precision.text: unknown key"));
}

TEST(SettingsTable, ResetGivesTheDefault) {
  const RenderConfig defaults;
  for (const Setting& setting : settings_table()) {
    RenderConfig config = defaults;
    setting.field.reset(config);
    EXPECT_EQ(setting.field.write(config), setting.field.write(defaults)) << setting.name;
  }
}

constexpr const char* kEveryKey =
    "prompt: a hill\ntimeline: [{at: 2, prompt: night}]\nframes: 30\nsize: 48x32\nfps: 12\nseed: 7\nimage: a.png\n"
    "replay: s.safetensors\noutput: x.mp4\ncontact_sheet: c.png\nrecord: r.safetensors\noverwrite: true\n"
    "attention: {mode: exact, refresh: every_nth, interval: 3, density: 0.5}\ndevice: cpu\ndtype: float32\n"
    "offload: true\nprecision: {linears: int8, external: int8}\noverlap: false\n"
    "encoder: {preset: medium, crf: 20, threads: 2}\n"
    "recipe: {steps: [1000, 333.5], first_steps: [], negative_prompt: dull, guidance_scale: 3}\n";

// These facts are stored with unfinished videos: what is renamed or written in another way here cannot be resumed.
TEST(ConfigIdentity, StatesWhatAltersTheVideo) {
  const auto facts = identity_facts(read(kEveryKey));
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"prompt", "a hill"},
      {"timeline", R"([{"at":2,"prompt":"night"}])"},
      {"size", "48x32"},
      {"fps", "12"},
      {"seed", "7"},
      {"encoder.preset", "medium"},
      {"encoder.crf", "20"},
      {"encoder.threads", "2"},
      {"precision.linears", "int8"},
      {"precision.internal", "native"},
      {"precision.external", "int8"},
      {"precision.kv_cache", "native"},
      {"precision.decoder", "native"},
      {"attention.mode", "exact"},
      {"attention.refresh", "every_nth"},
      {"attention.interval", "3"},
      {"attention.correction", "mean_key"},
      {"attention.density", "0.5"},
      {"attention.residual", "cached"},
      {"recipe.frames_per_block", "3"},
      {"recipe.independent_first_frame", "false"},
      {"recipe.window_frames", "-1"},
      {"recipe.sink_frames", "0"},
      {"recipe.position_frames", "1024"},
      {"recipe.context_rule", "window"},
      {"recipe.image_in_first_block", "false"},
      {"recipe.shot_offset_frames", "0"},
      {"recipe.timestep_shift", "5"},
      {"recipe.steps", "[1000,333.5]"},
      {"recipe.warp_steps", "true"},
      {"recipe.context_noise", "0"},
      {"recipe.kv_recache", "true"},
      {"recipe.guidance_scale", "3"},
      {"recipe.negative_prompt", "dull"},
      {"recipe.unipc_steps", "0"},
  };
  EXPECT_THAT(facts, ::testing::UnorderedElementsAreArray(expected));
  EXPECT_THAT(identity_files(read(kEveryKey)),
              ::testing::ElementsAre(Pair("image", "/videos/a.png"), Pair("replay", "/videos/s.safetensors")));
}

TEST(ConfigIdentity, SecretsAreDigestsWithoutMetadata) {
  RenderConfig config = read(kEveryKey);
  config.metadata = false;
  const auto facts = identity_facts(config);
  EXPECT_THAT(facts, Contains(Pair("prompt", "sha256:" + sha256("a hill"))));
  EXPECT_THAT(facts, Contains(Pair("timeline", "sha256:" + sha256(R"([{"at":2,"prompt":"night"}])"))));
  EXPECT_THAT(facts, Contains(Pair("recipe.negative_prompt", "sha256:" + sha256("dull"))));
  const std::string yaml = config_yaml(without_secrets(config));
  for (const char* secret : {"hill", "night", "dull", "negative_prompt"}) EXPECT_THAT(yaml, Not(HasSubstr(secret)));
  EXPECT_THAT(yaml, HasSubstr("seed: 7"));
}

TEST(ConfigIdentity, OnlyWhatBelongsToTheModelIsInItsKey) {
  const std::string key = model_key(read(kEveryKey));
  EXPECT_EQ(model_key(read("{device: cpu, dtype: float32, offload: true, precision: {linears: int8}}")), key);
  EXPECT_NE(model_key(read("{device: cpu, dtype: float32, offload: true}")), key);
  EXPECT_NE(model_key(read("{device: cpu, dtype: bfloat16, offload: true, precision: {linears: int8}}")), key);
  EXPECT_NE(model_key(read("{device: cpu, dtype: float32, precision: {linears: int8}}")), key);
  RenderConfig adapted = read(kEveryKey);
  adapted.model.lora.push_back({.path = "style.safetensors"});
  EXPECT_NE(model_key(adapted), key);
}

TEST(AddedLoras, StandOnTopOfThoseOfTheModel) {
  RenderConfig config;
  config.model.lora = {{.path = "/models/distilled.safetensors"}};
  const auto give = [&](const std::string& yaml) {
    read_settings({.values = parse_yaml(yaml, "video.yaml"), .folder = "/videos"}, config);
    std::vector<std::string> all;
    for (const LoraFile& lora : config.model.lora) all.push_back(lora.path.string() + " x " + setting_text(lora.scale));
    return all;
  };
  EXPECT_THAT(give("lora: [a.safetensors, b.safetensors=-0.5, {file: /c.pt, scale: 2, weights: lora}]"),
              ::testing::ElementsAre("/models/distilled.safetensors x 1", "/videos/a.safetensors x 1",
                                     "/videos/b.safetensors x -0.5", "/c.pt x 2"));
  EXPECT_EQ(config.model.lora.back().entry, "lora");
  const std::string yaml = config_yaml(config), json = config_json(config).dump();
  EXPECT_THAT(yaml, Not(HasSubstr("distilled")));
  EXPECT_THAT(config_yaml(config, PathStyle::kPublic), Not(HasSubstr("/")));
  EXPECT_THAT(config_yaml(config, PathStyle::kPublic), HasSubstr("b.safetensors"));
  // A later layer replaces them, those of the model stay; what is written gives the same again.
  EXPECT_THAT(give("lora: one.safetensors=0.25"),
              ::testing::ElementsAre("/models/distilled.safetensors x 1", "/videos/one.safetensors x 0.25"));
  give(yaml);
  EXPECT_EQ(config_json(config).dump(), json);
  EXPECT_THAT(give("lora: []"), ::testing::ElementsAre("/models/distilled.safetensors x 1"));
  EXPECT_THAT(error_text<ConfigError>([&] { give("lora: [a.safetensors=much]"); }),
              HasSubstr("video.yaml:1: lora[0]: found the scale \"much\", wanted a number from -100 to 100"));
  EXPECT_THAT(error_text<ConfigError>([&] { give("lora: a.safetensors=1e9"); }), HasSubstr("from -100 to 100"));
}

TEST(SettingsTable, OtherNamesOfOptionsAreNoOptions) {
  std::set<std::string> options;
  for (const Setting& setting : settings_table())
    for (const std::string& name : setting.option.names) options.insert(name.substr(name.rfind(',') + 1));
  for (const Setting& setting : settings_table())
    for (const std::string& other : setting.option.also_called) EXPECT_FALSE(options.contains("--" + other)) << other;
}

TEST(ConfigIdentity, NamesTheFilesThatAVideoLeaves) {
  EXPECT_THAT(output_files(read(kEveryKey)),
              ::testing::ElementsAre("/videos/x.mp4", "/videos/c.png", "/videos/r.safetensors"));
  EXPECT_THAT(output_files(read("prompt: a")), ::testing::IsEmpty());
}

TEST(ConfigIdentity, NamesTheFilesThatAVideoIsMadeFrom) {
  RenderConfig config = read("{prompt: a, replay: r.safetensors, output_options: {audio: a.wav}}");
  config.sources = {"/videos/job.yaml"};
  config.model.vae.path = "/models/vae.pth";
  std::vector<std::string> files;
  for (const auto& [key, file] : input_files(config)) files.push_back(key + " " + file.string());
  EXPECT_THAT(files, ::testing::ElementsAre("replay /videos/r.safetensors", "output_options.audio /videos/a.wav",
                                            "settings /videos/job.yaml", "vae /models/vae.pth"));
}

TEST(ConfigYaml, HasNoFoldersInTheMetadataOfAVideo) {
  RenderConfig config = read(kEveryKey);
  config.model.file = "/models/demo/model.yaml";
  config.model.name = "demo";
  const std::string yaml = config_yaml(config, PathStyle::kPublic);
  EXPECT_THAT(yaml, Not(HasSubstr("/")));
  EXPECT_THAT(yaml, HasSubstr("image: \"a.png\""));
  EXPECT_THAT(yaml, HasSubstr("model: \"demo\""));
  EXPECT_THAT(config_yaml(config), HasSubstr("image: \"/videos/a.png\""));
}

TEST(ConfigYaml, JsonAndYamlAreTheSameSettings) {
  const RenderConfig config = read(kEveryKey);
  RenderConfig from_json;
  read_settings(make_config_layer("order", config_json(config)), from_json);
  EXPECT_EQ(config_yaml(from_json), config_yaml(config));
  EXPECT_EQ(config_yaml(read(config_yaml(config))), config_yaml(config));
}

// A model may bring first steps and a negative prompt: "none" must survive the way through a file.
TEST(ConfigYaml, StatesEmptyValuesThatReplaceTheModels) {
  RenderConfig config = read("recipe: {first_steps: [], negative_prompt: ''}");
  RenderConfig other = read("recipe: {first_steps: [900], negative_prompt: dull}");
  read_settings(make_config_layer("order", config_json(config)), other);
  EXPECT_TRUE(other.model.recipe.first_steps.empty());
  EXPECT_EQ(other.model.recipe.negative_prompt, "");
}

}  // namespace
}  // namespace flashblock
