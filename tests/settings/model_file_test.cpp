#include "settings/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "core/error.h"
#include "settings/config_file.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::Not;

class ModelFile : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& text, const std::string& name = "demo.yaml") const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  ModelDescription load(const std::string& text) const { return load_model_file(write(text)); }

  std::string error_of(const std::string& text) const {
    try {
      load(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), ExitStatus::kConfig) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
    return "no error";
  }

  testing::TemporaryFolder folder_;
};

constexpr const char* kWhole = R"(
name: self-forcing-1.3b
architecture: wan2.1
transformer: {file: self_forcing_dmd.pt, weights: generator_ema, config: wan/config.json}
text_encoder: models_t5_umt5-xxl-enc-bf16.pth
tokenizer: google/umt5-xxl/spiece.model
vae: /weights/Wan2.1_VAE.pth
lora: [{file: style.safetensors, scale: 0.5}, {file: lora.pt, weights: generator_lora}, plain.safetensors]
recipe:
  frames_per_block: 3
  window_frames: 12
  sink_frames: 3
  timestep_shift: 8.0
  steps: [1000, 500]
  first_steps: [1000, 750, 500, 250]
  warp_steps: false
  context_noise: 2.5
  kv_recache: false
  guidance_scale: 3
  negative_prompt: blurred, dull
  unipc_steps: 0
defaults: {size: 256x144, fps: 24, seconds: 60}
)";

TEST_F(ModelFile, ReadsEveryKey) {
  const ModelDescription model = load(kWhole);
  EXPECT_EQ(model.file, folder_ / "demo.yaml");
  EXPECT_EQ(model.name, "self-forcing-1.3b");
  EXPECT_EQ(model.transformer.path, folder_ / "self_forcing_dmd.pt");
  EXPECT_EQ(model.transformer.entry, "generator_ema");
  EXPECT_EQ(model.transformer_config, folder_ / "wan/config.json");
  EXPECT_EQ(model.text_encoder.path, folder_ / "models_t5_umt5-xxl-enc-bf16.pth");
  EXPECT_EQ(model.tokenizer, folder_ / "google/umt5-xxl/spiece.model");
  EXPECT_EQ(model.vae.path, "/weights/Wan2.1_VAE.pth");
  ASSERT_EQ(model.lora.size(), 3U);
  EXPECT_EQ(model.lora[0].path, folder_ / "style.safetensors");
  EXPECT_EQ(model.lora[0].scale, 0.5);
  EXPECT_EQ(model.lora[1].entry, "generator_lora");
  EXPECT_EQ(model.lora[2].scale, 1.0);
  EXPECT_EQ(model.recipe.frames_per_block, 3);
  EXPECT_EQ(model.recipe.window_frames, 12);
  EXPECT_EQ(model.recipe.sink_frames, 3);
  EXPECT_EQ(model.recipe.timestep_shift, 8);
  EXPECT_THAT(model.recipe.steps, ElementsAre(1000, 500));
  EXPECT_THAT(model.recipe.first_steps, ElementsAre(1000, 750, 500, 250));
  EXPECT_FALSE(model.recipe.warp_steps);
  EXPECT_EQ(model.recipe.context_noise, 2.5);
  EXPECT_FALSE(model.recipe.kv_recache);
  EXPECT_EQ(model.recipe.guidance_scale, 3);
  EXPECT_EQ(model.recipe.negative_prompt, "blurred, dull");
  EXPECT_EQ(model.defaults.width, 256);
  EXPECT_EQ(model.defaults.height, 144);
  EXPECT_EQ(model.defaults.fps, 24);
  EXPECT_EQ(model.defaults.seconds, 60);
}

TEST_F(ModelFile, NeedsNoMoreThanATransformer) {
  const ModelDescription model = load("transformer: model.safetensors\n");
  EXPECT_EQ(model.name, "demo");
  EXPECT_EQ(model.transformer.path, folder_ / "model.safetensors");
  EXPECT_TRUE(model.vae.path.empty());
  EXPECT_EQ(model.recipe.steps, Recipe().steps);
  EXPECT_THAT(error_of("name: x\n"), HasSubstr("the key transformer is missing"));
}

TEST_F(ModelFile, OtherFilesAreCalledWhatTheyAre) {
  const auto error = [&](const std::string& name, std::string_view bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return error_text<ConfigError>([&] { load_model_file(folder_ / name); });
  };
  const std::string safetensors = std::string("\x40\0\0\0\0\0\0\0", 8) + "{\"a\":{}}";
  EXPECT_THAT(error("w.safetensors", safetensors),
              ::testing::AllOf(HasSubstr("w.safetensors is a weights file (safetensors); wanted a model file (YAML)"),
                               HasSubstr("`transformer: w.safetensors`"), HasSubstr("flashblock info")));
  EXPECT_THAT(error("w.pt", "PK\x03\x04...."), HasSubstr("torch.save"));
  EXPECT_THAT(error("w.gguf", "GGUF...."), HasSubstr("(GGUF)"));
  EXPECT_THAT(error("w.png", "\x89PNG\r\n\x1a\n"), HasSubstr("is an image (PNG); wanted a model file (YAML)"));
  std::filesystem::create_directory(folder_ / "pipeline");
  const auto folder = [&] { return error_text<WeightsError>([&] { load_model_file(folder_ / "pipeline"); }); };
  EXPECT_THAT(folder(), HasSubstr("is a folder without model.yaml; wanted a model file"));
  std::ofstream(folder_ / "pipeline/model_index.json") << "{}";
  EXPECT_THAT(folder(), HasSubstr("`diffusers: "));
  EXPECT_THAT(error_text<ConfigError>([&] { load_yaml(folder_ / "w.gguf"); }), HasSubstr("wanted a YAML file"));
}

TEST_F(ModelFile, AFolderHoldsModelYaml) {
  write("transformer: model.safetensors\n", "model.yaml");
  const ModelDescription model = load_model_file(folder_.path());
  EXPECT_EQ(model.transformer.path, folder_ / "model.safetensors");
  EXPECT_EQ(model.name, folder_.path().filename());
}

TEST_F(ModelFile, MissingModelFilesAreWeightsErrors) {
  EXPECT_THROW(load_model_file(folder_ / "missing.yaml"), WeightsError);
  EXPECT_THROW(load_model_file(folder_.path()), WeightsError);
}

TEST_F(ModelFile, ExpandsVariables) {
  ::setenv("FLASHBLOCK_TEST_WEIGHTS", "/big/disk", 1);
  EXPECT_EQ(load("transformer: ${FLASHBLOCK_TEST_WEIGHTS}/a.pt\n").transformer.path, "/big/disk/a.pt");
  ::unsetenv("FLASHBLOCK_TEST_WEIGHTS");
  EXPECT_THAT(error_of("transformer: ${FLASHBLOCK_TEST_WEIGHTS}/a.pt\n"),
              HasSubstr("demo.yaml:1: transformer: the environment variable FLASHBLOCK_TEST_WEIGHTS is not set"));
  EXPECT_THAT(error_of("transformer: ${HOME/a.pt\n"), HasSubstr("without"));
}

TEST_F(ModelFile, TellsWhatItsModelKnows) {
  const ModelDescription model = load("transformer: a.pt\nabout: hills\nknows: [hill, tree]\n");
  EXPECT_EQ(model.about, "hills");
  EXPECT_THAT(model.knows, ElementsAre("hill", "tree"));
  std::ofstream(folder_ / "words.txt") << "tree\nhill  sky\n";
  EXPECT_THAT(load("transformer: a.pt\nknows: words.txt\n").knows, ElementsAre("hill", "sky", "tree"));
  EXPECT_THAT(error_of("transformer: a.pt\nknows: none.txt\n"),
              HasSubstr("none.txt: cannot be read; wanted a file of words"));
}

TEST_F(ModelFile, ListsPhrasesForWhatPromptsLeaveOpen) {
  const std::string begin = "transformer: a.pt\nchoices:\n";
  const std::vector<Choice> choices =
      load(begin + "- {phrases: [in red, in blue], unless: [Red, blue], when: [ball]}\n- phrases: [view one]\n")
          .choices;
  ASSERT_EQ(choices.size(), 2u);
  EXPECT_THAT(choices[0].phrases, ElementsAre("in red", "in blue"));
  EXPECT_THAT(choices[0].unless, ElementsAre("blue", "red"));
  EXPECT_THAT(choices[0].when, ElementsAre("ball"));
  EXPECT_TRUE(choices[1].unless.empty() && choices[1].when.empty());
  EXPECT_TRUE(load("transformer: a.pt\n").choices.empty());
  EXPECT_THAT(error_of(begin + "- {unless: [red]}\n"), HasSubstr("choices[0]: the key phrases is missing"));
  EXPECT_THAT(error_of(begin + "- {phrases: []}\n"),
              HasSubstr("choices[0].phrases: found an empty list, wanted at least one phrase"));
  EXPECT_THAT(error_of(begin + "- {phrases: [a, '']}\n"), HasSubstr("phrases[1]: found nothing, wanted a phrase"));
  EXPECT_THAT(error_of(begin + "- {phrases: [a], unles: [b]}\n"), HasSubstr("did you mean unless?"));
}

TEST_F(ModelFile, RefusesWhatItDoesNotKnow) {
  const std::string begin = "transformer: a.pt\n";
  EXPECT_THAT(error_of(begin + "text_encodr: b.pt\n"),
              HasSubstr("demo.yaml:2: text_encodr: unknown key, did you mean text_encoder?"));
  EXPECT_THAT(error_of(begin + "vae: {file: c.pth, wieghts: x}\n"),
              HasSubstr("vae.wieghts: unknown key, did you mean weights?"));
  EXPECT_THAT(error_of(begin + "recipe: {step: [1000]}\n"), HasSubstr("recipe.step: unknown key, did you mean steps?"));
  EXPECT_THAT(error_of(begin + "architecture: wan2.2\n"), HasSubstr("found \"wan2.2\", wanted wan2.1"));
  EXPECT_THAT(error_of(begin + "lora: a.safetensors\n"), HasSubstr("lora: found \"a.safetensors\", wanted a list"));
}

TEST_F(ModelFile, ChecksRanges) {
  const auto recipe_error = [&](const std::string& recipe) {
    return error_of("transformer: a.pt\nrecipe: {" + recipe + "}\n");
  };
  EXPECT_THAT(recipe_error("frames_per_block: 0"), HasSubstr("demo.yaml:2: recipe.frames_per_block: found \"0\""));
  EXPECT_THAT(recipe_error("window_frames: 0"), HasSubstr("wanted -1 for all frames"));
  EXPECT_THAT(recipe_error("window_frames: -2"), HasSubstr("from -1 to 10000000"));
  EXPECT_THAT(recipe_error("sink_frames: -1"), HasSubstr("from 0 to 10000000"));
  EXPECT_THAT(recipe_error("timestep_shift: 0"), HasSubstr("above 0"));
  EXPECT_THAT(recipe_error("steps: []"), HasSubstr("at least one timestep"));
  EXPECT_THAT(recipe_error("steps: [1000, 500, 0]"), HasSubstr("recipe.steps[2]: found 0"));
  EXPECT_THAT(recipe_error("steps: [500, 1000]"), HasSubstr("recipe.steps[1]: found \"1000\", wanted less"));
  EXPECT_THAT(recipe_error("steps: [1001]"), HasSubstr("from 0 to 1000"));
  EXPECT_THAT(recipe_error("steps: [937.5]"), HasSubstr("wanted whole numbers"));
  EXPECT_EQ(recipe_error("steps: [937.5], warp_steps: false"), "no error");
  EXPECT_THAT(recipe_error("first_steps: [999.5]"), HasSubstr("recipe.first_steps: found 999.5"));
  EXPECT_THAT(recipe_error("window_frames: 5, sink_frames: 3"), HasSubstr("wanted -1 or at least 6"));
  for (const char* size : {"256", "256x", "x144", "256x144x3", "0x144", "-256x144", "256 x 144", "99999x99999"})
    EXPECT_THAT(error_of(std::string("transformer: a.pt\ndefaults: {size: ") + size + "}\n"),
                HasSubstr("wanted WIDTHxHEIGHT"))
        << size;
}

TEST_F(ModelFile, AnOverrideChangesOnlyItsKeys) {
  RenderConfig config;
  config.model = load(kWhole);
  read_group("recipe", parse_yaml("{sink_frames: 6}", "--set"), config);
  const Recipe& recipe = config.model.recipe;
  EXPECT_EQ(recipe.sink_frames, 6);
  EXPECT_EQ(recipe.window_frames, 12);
  EXPECT_THAT(recipe.steps, ElementsAre(1000, 500));
}

TEST_F(ModelFile, MissingFilesAreReportedTogether) {
  const ModelDescription model = load("transformer: a.pt\ntext_encoder: b.pth\ntokenizer: c.model\nlora: [d.pt]\n");
  std::ofstream(folder_ / "b.pth") << "there";
  try {
    check_model_files(model,
                      {ModelPart::kTransformer, ModelPart::kTextEncoder, ModelPart::kTokenizer, ModelPart::kVae});
    FAIL();
  } catch (const WeightsError& error) {
    const std::string message = error.what();
    EXPECT_THAT(message, HasSubstr("transformer " + (folder_ / "a.pt").string() + " does not exist"));
    EXPECT_THAT(message, HasSubstr("lora " + (folder_ / "d.pt").string()));
    EXPECT_THAT(message, HasSubstr("tokenizer " + (folder_ / "c.model").string()));
    EXPECT_THAT(message, HasSubstr("vae is not named"));
    EXPECT_THAT(message, Not(HasSubstr("b.pth")));
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
  EXPECT_NO_THROW(check_model_files(model, {ModelPart::kTextEncoder}));
}

TEST_F(ModelFile, ADiffusersFolderStandsForItsParts) {
  std::filesystem::create_directories(folder_ / "pipe/tokenizer");
  const ModelDescription model = load("diffusers: pipe\nvae: taew2_1.pth\n");
  EXPECT_EQ(model.transformer.path, folder_ / "pipe/transformer");
  EXPECT_EQ(model.text_encoder.path, folder_ / "pipe/text_encoder");
  EXPECT_EQ(model.tokenizer, folder_ / "pipe/tokenizer/spiece.model");
  EXPECT_EQ(model.vae.path, folder_ / "taew2_1.pth");
  EXPECT_THAT(error_of("vae: a.pth\n"), HasSubstr("transformer"));
  std::ofstream(folder_ / "pipe/tokenizer/tokenizer.json") << "{}";
  try {
    check_model_files(model, {ModelPart::kTokenizer});
    FAIL();
  } catch (const WeightsError& error) {
    EXPECT_THAT(error.what(), HasSubstr("spiece.model is part of google/umt5-xxl"));
  }
}

TEST_F(ModelFile, SaysWhereItsFilesCanBeFetched) {
  const std::string begin = "name: mine\ntransformer: a.pt\nsources:\n  - ";
  const ModelDescription model = load(begin + "{repository: me/mine, revision: main, folder: ../b, files: [a.pt]}\n");
  try {
    check_model_files(model, {ModelPart::kTransformer});
    FAIL();
  } catch (const WeightsError& error) {
    EXPECT_THAT(error.what(), HasSubstr("scripts/download-models mine"));
  }
  EXPECT_THAT(error_of(begin + "{repository: me/mine}\n"), HasSubstr("files"));
  EXPECT_THAT(error_of(begin + "{files: [a.pt]}\n"), HasSubstr("repository"));
  EXPECT_THAT(error_of(begin + "{repository: me/mine, files: [a.pt], url: x}\n"), HasSubstr("url"));
}

TEST_F(ModelFile, RefusesAModelThatItsFileCallsUnsupported) {
  EXPECT_THAT(error_of("name: other\nunsupported: it is another algorithm\n"),
              HasSubstr("unsupported: this model cannot be rendered: it is another algorithm"));
}

// How a setting is given is for the front end to say.
TEST(FindModel, LeavesTheOptionToTheFrontEnd) {
  try {
    find_model("no-such-model");
    FAIL();
  } catch (const WeightsError& error) {
    EXPECT_THAT(error.what(), HasSubstr("there is no model 'no-such-model'"));
    EXPECT_THAT(error.what(), Not(HasSubstr("--")));
    EXPECT_EQ(error.key(), "model");
    ASSERT_EQ(error.remedies().size(), 1u);
    EXPECT_EQ(error.remedies()[0].key, "model");
  }
}

}  // namespace
}  // namespace flashblock
