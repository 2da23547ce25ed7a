#include "pipeline/recording.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "tests/support/recorded_video.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "weights/tensor_file.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using testing::KeepingSink;
using testing::RecordedVideo;
using testing::TemporaryFolder;

TEST(Recording, ReplayIsTheSameVideoBitForBit) {
  const TemporaryFolder folder;
  RecordedVideo video("pipeline_extend3_shift8");
  video.inputs.prompts.push_back({.first_block = 1, .embedding = video.other_prompt()});
  Recorder recorder;
  SessionInputs inputs = video.inputs;
  inputs.noise = recorder.record_noise(std::make_shared<SeededNoise>(5));
  KeepingSink first, again;
  video.render(first, inputs);
  for (const RenderedBlock& block : first.blocks) recorder.add(block);
  recorder.write(folder / "video.safetensors", inputs, {{"seed", "5"}});

  const Replay replay(folder / "video.safetensors");
  ASSERT_EQ(replay.prompts().size(), 2u);
  EXPECT_EQ(replay.prompts()[1].first_block, 1);
  SessionInputs replayed{.prompts = replay.prompts(), .initial_latents = replay.initial_latents()};
  replayed.noise = replay.noise_source(std::make_shared<SeededNoise>(99));
  video.render(again, replayed);
  EXPECT_TENSORS_IDENTICAL(again.latents(), first.latents());
  EXPECT_TENSORS_IDENTICAL(again.pixels(), first.pixels());

  const auto written = WeightStore::open(folder / "video.safetensors");
  EXPECT_TENSORS_IDENTICAL(written->tensor("latents"), first.latents());
  EXPECT_TENSORS_IDENTICAL(written->tensor("video")[0], first.pixels().to(at::kHalf));
  EXPECT_EQ(written->metadata().at("seed"), "5");
}

TEST(Recording, DrawsWhatTheFileLacks) {
  const TemporaryFolder folder;
  write_tensor_file(folder / "noise.safetensors", {{"noise", at::ones({1, 6, 16, 2, 2})}});
  const auto otherwise = std::make_shared<SeededNoise>(3);
  const auto source = Replay(folder / "noise.safetensors").noise_source(otherwise);
  const std::vector<int64_t> shape = {1, 3, 16, 2, 2};
  EXPECT_TENSORS_IDENTICAL(source->noise(1, 0, shape), at::ones(shape));
  EXPECT_TENSORS_IDENTICAL(source->noise(1, 1, shape), otherwise->noise(1, 1, shape));
}

/// What is wrong with a recording of these tensors for two blocks of three latent frames, 64x64 pixels.
std::string misfit(const NamedTensors& tensors, const Recipe& recipe = {.steps = {1000, 500}}) {
  const TemporaryFolder folder;
  write_tensor_file(folder / "r.safetensors", tensors);
  const VideoGeometry geometry{.width = 64, .height = 64};
  const TransformerConfig model{.text_dim = 32, .text_len = 16};
  try {
    Replay(folder / "r.safetensors").check_fits(VideoPlan::for_frames(geometry, 0, 3, 21), geometry, model, recipe);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Recording, MisfitsAreNamedWithWhatIsFoundAndWanted) {
  using ::testing::AllOf;
  using ::testing::HasSubstr;
  const at::Tensor latents = at::ones({1, 6, 16, 8, 8}), block = at::ones({1, 3, 16, 8, 8});
  const at::Tensor ids = at::ones({1, 16}, at::kLong);
  EXPECT_EQ(misfit({{"noise", latents},
                    {"renoise.0.0", block},
                    {"renoise.1.0", block},
                    {"ids", ids},
                    {"mask", ids},
                    {"prompt_embeds", at::ones({1, 16, 32})},
                    {"prompt_embeds.1", at::ones({1, 5, 32})}}),
            "");
  const auto says = [](const char* tensor, const char* found, const char* wanted) {
    return AllOf(HasSubstr(std::string("r.safetensors: ") + tensor), HasSubstr(found), HasSubstr(wanted));
  };
  EXPECT_THAT(misfit({{"noise", at::ones({1, 6, 48, 8, 8})}}),
              says("noise has", "[1, 6, 48, 8, 8]", "wanted [1, 6, 16, 8, 8]"));
  EXPECT_THAT(misfit({{"initial_latent", at::ones({1, 3, 16, 8, 4})}}),
              says("initial_latent has", "[1, 3, 16, 8, 4]", "wanted [1, 3, 16, 8, 8]"));
  EXPECT_THAT(misfit({{"renoise.0.0", block}, {"renoise.1.0", at::ones({1, 2, 16, 8, 8})}}),
              says("renoise.1.0 has", "[1, 2, 16, 8, 8]", "wanted [1, 3, 16, 8, 8]"));
  EXPECT_THAT(misfit({{"renoise.0.0", block}}), HasSubstr("renoise.1.0 is missing"));
  EXPECT_THAT(misfit({{"prompt_embeds", at::ones({1, 16, 64})}}),
              says("prompt_embeds has", "[1, 16, 64]", "wanted [1, 16, 32]"));
  EXPECT_THAT(misfit({{"prompt_embeds", at::ones({1, 16, 32})}, {"prompt_embeds.1", at::ones({1, 17, 32})}}),
              says("prompt_embeds.1 has", "[1, 17, 32]", "wanted [1, 16, 32]"));
  EXPECT_THAT(misfit({{"negative_prompt_embeds", at::ones({1, 16, 8})}, {"noise", latents}}),
              HasSubstr("negative_prompt_embeds has"));
  const at::Tensor long_ids = at::ones({1, 40}, at::kLong);
  EXPECT_THAT(misfit({{"ids", long_ids}, {"mask", long_ids}}), says("ids has", "[1, 40]", "wanted [1, 16]"));
  EXPECT_THAT(misfit({{"ids", ids}, {"mask", ids + 4}}), HasSubstr("mask has other numbers than 0 and 1"));
  EXPECT_THAT(misfit({{"ids", ids - 4}, {"mask", ids}}), HasSubstr("ids has other numbers than 0 and above"));
}

struct BadRecord {
  const char* name;
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  const char* complaint;
};

class BadRecordings : public ::testing::TestWithParam<BadRecord> {};

TEST_P(BadRecordings, AreRefusedWithTheNameOfTheTensor) {
  const TemporaryFolder folder;
  write_tensor_file(folder / "bad.safetensors", GetParam().tensors);
  try {
    Replay replay(folder / "bad.safetensors");
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find(GetParam().complaint), std::string::npos) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, BadRecordings,
    ::testing::Values(
        BadRecord{"nan", {{"noise", at::full({1, 3, 16, 2, 2}, std::numeric_limits<float>::quiet_NaN())}}, "noise"},
        BadRecord{"infinite",
                  {{"prompt_embeds", at::full({1, 4, 8}, std::numeric_limits<float>::infinity())}},
                  "prompt_embeds"},
        BadRecord{"rank", {{"noise", at::ones({3, 16, 2, 2})}}, "noise"},
        BadRecord{"batch", {{"noise", at::ones({2, 3, 16, 2, 2})}}, "noise"},
        BadRecord{"float_ids", {{"ids", at::ones({1, 4})}, {"mask", at::ones({1, 4}, at::kLong)}}, "ids"},
        BadRecord{"no_mask", {{"ids", at::ones({1, 4}, at::kLong)}}, "mask"},
        BadRecord{"mask_shape", {{"ids", at::ones({1, 4}, at::kLong)}, {"mask", at::ones({1, 5}, at::kLong)}}, "mask"},
        BadRecord{"late_prompt", {{"prompt_embeds.2", at::ones({1, 4, 8})}}, "first prompt"},
        BadRecord{"renoise_name", {{"renoise.a.0", at::ones({1, 3, 16, 2, 2})}}, "renoise.a.0"},
        BadRecord{"nothing", {{"latents", at::ones({1, 3, 16, 2, 2})}}, "no inputs"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Recording, RefusesAMissingFile) { EXPECT_THROW(Replay("/nowhere/video.safetensors"), ConfigError); }

TEST(Recording, SaysWhichRenoiseIsMissing) {
  const TemporaryFolder folder;
  write_tensor_file(folder / "video.safetensors", {{"renoise.0.0", at::ones({1, 3, 16, 2, 2})}});
  const auto source = Replay(folder / "video.safetensors").noise_source(std::make_shared<SeededNoise>(3));
  EXPECT_NO_THROW(source->noise(0, 1, {1, 3, 16, 2, 2}));
  EXPECT_THROW(source->noise(0, 2, {1, 3, 16, 2, 2}), ConfigError);
  EXPECT_THROW(source->noise(0, 1, {1, 3, 16, 4, 4}), ConfigError) << "recorded at another size";
}

}  // namespace
}  // namespace flashblock
