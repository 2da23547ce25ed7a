// `flashblock render` and `flashblock info` from the command line: every switch in both positions, every error.
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <thread>

#include "core/sha256.h"
#include "media/image_reader.h"
#include "media/png_writer.h"
#include "media/video_reader.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/test_data.h"
#include "weights/tensor_file.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

class Render : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TemporaryFolder;
    write_prompted_model(model());
  }
  static void TearDownTestSuite() { delete shared_; }
  static std::filesystem::path model() { return *shared_ / "model"; }

  /// Renders one or two frame blocks of a red hill; `more` may override anything.
  Words command(const std::string& name, const Words& more = {}) const {
    Words words = {"render", "a red hill", "--model", model(),    "--output", video(name), "--seed",
                   "7",      "--frames",   "18",      "--device", "cpu",      "--dtype",   "float32"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  ProgramRun render(const std::string& name, const Words& more = {}) const { return run_program(command(name, more)); }
  ProgramRun render_with(const std::filesystem::path& other_model, const std::string& name, const Words& more) const {
    Words words = command(name, more);
    std::replace(words.begin(), words.end(), model().string(), other_model.string());
    return run_program(words);
  }

  std::filesystem::path video(const std::string& name) const { return folder_ / (name + ".mp4"); }
  std::filesystem::path sidecar(const std::string& name) const { return folder_ / (name + ".json"); }
  at::Tensor frames(const std::string& name) const { return read_video(video(name)); }

  static TemporaryFolder* shared_;
  TemporaryFolder folder_;
};

TemporaryFolder* Render::shared_ = nullptr;

// What 8 bits are of is said once, on standard error and in a dry run; a calibration changes the video and its
// identity.
TEST_F(Render, EightBitsWithACalibration) {
  const std::string file = folder_ / "c.safetensors", key = "precision.calibration=" + file;
  const Words small = {model(), "-o", file, "--frames", "9", "--device", "cpu", "--dtype", "float32"};
  Words calibrate = {"calibrate"};
  calibrate.insert(calibrate.end(), small.begin(), small.end());
  const ProgramRun made = run_program(calibrate);
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_THAT(made.out, AllOf(HasSubstr("ffn_down"), HasSubstr("c.safetensors\n")));
  EXPECT_THAT(run_program(calibrate).err, HasSubstr("exists"));
  const ProgramRun plain = render("plain", {"--precision", "int8"});
  ASSERT_EQ(plain.status, 0) << plain.err;
  EXPECT_THAT(plain.err,
              HasSubstr("flashblock: linears, internal attention, external attention, KV cache, decoder in 8"));
  ASSERT_EQ(render("calibrated", {"--precision", "int8", "--set", key}).status, 0);
  EXPECT_FALSE(frames("plain").equal(frames("calibrated")));
  EXPECT_THAT(render("plain", {"--precision", "int8", "--set", key, "--resume"}).err,
              HasSubstr("another video (files: "));
  EXPECT_THAT(render("dry", {"--set", "precision.kv_cache=int8", "--dry-run"}).out,
              HasSubstr("# precision: KV cache in 8 bits\n"));
}

TEST_F(Render, LeavesAVideoAndItsAccount) {
  const ProgramRun run = render("video");
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("video.mp4: 18 frames"));
  EXPECT_EQ(run.err, "");
  EXPECT_EQ(frames("video").sizes(), (std::vector<int64_t>{18, 3, 32, 48}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "video.parts"));
  const auto metadata = VideoReader(video("video")).info().metadata;
  EXPECT_EQ(metadata.at("prompt"), "a red hill");
  EXPECT_EQ(metadata.at("seed"), "7");
  EXPECT_EQ(metadata.at("model"), "small");
  const nlohmann::json sidecar_json = read_json(sidecar("video"));
  const nlohmann::json files = nlohmann::json::parse(metadata.at("files"));
  ASSERT_EQ(files.size(), sidecar_json.at("identity").at("files").size());
  EXPECT_EQ(files[0].at("role"), "transformer");
  EXPECT_EQ(files[0].at("name").get<std::string>().find('/'), std::string::npos);
  EXPECT_EQ(files[0].at("sha256"), sidecar_json.at("weights")[0].at("sha256"));
  EXPECT_EQ(sidecar_json.at("video").at("frames"), 18);
  EXPECT_EQ(sidecar_json.at("configuration").at("prompt"), "a red hill");
  EXPECT_EQ(sidecar_json.at("configuration").at("seed"), 7);
  EXPECT_EQ(sidecar_json.at("weights").size(), 3u);
  EXPECT_EQ(sidecar_json.at("weights")[0].at("sha256").get<std::string>().size(), 64u);
  EXPECT_EQ(sidecar_json.at("work").at("frame_blocks"), 2);
  EXPECT_GT(sidecar_json.at("stages").at("denoise").at("seconds"), 0.0);
}

TEST_F(Render, SizeIsThatOfTheVideoWithADecoderOfTwiceTheSize) {
  const std::filesystem::path twice = folder_ / "twice";
  write_prompted_model(twice);
  write_tensor_file(twice / "vae.safetensors", formula_tensors(upscale_vae_shapes(8)));
  write_png(folder_ / "start.png", at::full({32, 32, 3}, 128, at::kByte));
  const Words more = {
      "--size", "96x64", "--image", folder_ / "start.png", "--set", "recipe.independent_first_frame=true"};
  const ProgramRun run = render_with(twice, "video", more);
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(frames("video").sizes(), (std::vector<int64_t>{19, 3, 64, 96}));
  EXPECT_EQ(read_json(sidecar("video"))["configuration"]["size"], "96x64");
  Words dry = more;
  dry.push_back("--dry-run");
  EXPECT_THAT(render_with(twice, "dry", dry).out, HasSubstr("size: 96x64"));
  EXPECT_THAT(render_with(twice, "small", {"--size", "48x32"}).err, HasSubstr("multiple of 32"));
}

TEST_F(Render, RefusesAVaeOfAnotherModel) {
  const std::filesystem::path other = folder_ / "other";
  write_prompted_model(other);
  write_tensor_file(other / "vae.safetensors", formula_tensors(wan22_vae_shapes(4, 4)));
  const ProgramRun run = render_with(other, "video", {});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, AllOf(HasSubstr("48 latent channels"), HasSubstr("which has 16")));
}

TEST_F(Render, SameSeedSameVideoAndAnotherSeedAnother) {
  ASSERT_EQ(render("first").status, 0);
  ASSERT_EQ(render("again").status, 0);
  ASSERT_EQ(render("other", {"--set", "seed=8"}).status, 0);
  EXPECT_TENSORS_IDENTICAL(frames("again"), frames("first"));
  EXPECT_FALSE(tensors_close(frames("other"), frames("first"), 1e-2, 1e-2));
}

TEST_F(Render, PromptMatters) {
  Words other = command("other");
  other[1] = "a blue lake at night";
  ASSERT_EQ(render("first").status, 0);
  ASSERT_EQ(run_program(other).status, 0);
  EXPECT_FALSE(tensors_close(frames("other"), frames("first"), 1e-2, 1e-2));
}

TEST_F(Render, OverlapChangesNothing) {
  ASSERT_EQ(render("on", {"--set", "overlap=true"}).status, 0);
  ASSERT_EQ(render("off", {"--set", "overlap=false"}).status, 0);
  EXPECT_TENSORS_IDENTICAL(frames("on"), frames("off"));
}

TEST_F(Render, AttentionModeShowsInTheWorkAndNotInTheFirstBlock) {
  ASSERT_EQ(render("exact", {"--attention", "exact"}).status, 0);
  ASSERT_EQ(render("reuse", {"--attention", "flashblock", "--set", "attention.refresh=first_pass"}).status, 0);
  EXPECT_EQ(read_json(sidecar("exact")).at("work").at("external_attentions_reused"), 0);
  EXPECT_GT(read_json(sidecar("reuse")).at("work").at("external_attentions_reused"), 0);
}

TEST_F(Render, QuietSaysNothing) {
  const ProgramRun run = render("video", {"--quiet"});
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(run.out + run.err, "");
}

TEST_F(Render, JsonProgressCountsBlocks) {
  const ProgramRun run = render("video", {"--progress", "json"});
  ASSERT_EQ(run.status, 0);
  std::istringstream lines(run.err);
  int64_t last = -1;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json event = nlohmann::json::parse(line);
    EXPECT_EQ(event.at("blocks"), 2);
    last = event.at("block");
  }
  EXPECT_EQ(last, 2);
}

TEST_F(Render, MetadataCanBeLeftOut) {
  ASSERT_EQ(render("with_metadata").status, 0);
  ASSERT_EQ(render("without_metadata", {"--no-metadata", "--prompt-at", "1=a blue lake"}).status, 0);
  EXPECT_THAT(read_text(video("with_metadata")), HasSubstr("red hill"));
  EXPECT_THAT(read_text(video("without_metadata")), Not(HasSubstr("red hill")));
  EXPECT_THAT(read_text(sidecar("without_metadata")), Not(HasSubstr("red hill")));
  EXPECT_THAT(read_text(sidecar("without_metadata")), Not(HasSubstr("blue lake")));
}

TEST_F(Render, ExistingVideoIsReplacedOnlyOnRequest) {
  ASSERT_EQ(render("video").status, 0);
  const std::string before = read_text(video("video"));
  const ProgramRun refused = render("video");
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("--overwrite"));
  EXPECT_EQ(read_text(video("video")), before);
  EXPECT_EQ(render("video", {"--overwrite", "--set", "seed=9"}).status, 0);
  EXPECT_NE(read_text(video("video")), before);
}

TEST_F(Render, UnfinishedWorkIsLeftAlone) {
  std::filesystem::create_directories(folder_ / "video.parts");
  std::ofstream(folder_ / "video.parts/000003.m4s") << "something";
  EXPECT_EQ(render("video").status, 2);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "video.parts/000003.m4s"));
}

TEST_F(Render, WhatARunLeavesBeforeItsFirstSegmentIsNotInTheWay) {
  std::filesystem::create_directories(folder_ / "video.parts");
  std::ofstream(folder_ / "video.parts/init.mp4") << "something";
  std::ofstream(folder_ / "video.parts/configuration.yaml") << "something";
  std::ofstream(folder_ / "video.parts/000000.m4s.part") << "something";
  EXPECT_EQ(render("video").status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "video.parts"));
}

TEST_F(Render, ContactSheetIsWrittenOnRequest) {
  ASSERT_EQ(render("video", {"--contact-sheet", folder_ / "sheet.png"}).status, 0);
  EXPECT_GT(read_image(folder_ / "sheet.png").size(2), 48);
}

TEST_F(Render, PromptChangesFromItsBlockOn) {
  ASSERT_EQ(render("same", {"--frames", "33"}).status, 2) << "a length given twice";
  ASSERT_EQ(render("same", {"--set", "frames=33"}).status, 0);
  ASSERT_EQ(render("changed", {"--set", "frames=33", "--prompt-at", "1.4=a blue lake"}).status, 0);
  const at::Tensor same = frames("same"), changed = frames("changed");
  EXPECT_TENSORS_IDENTICAL(changed.narrow(0, 0, 21), same.narrow(0, 0, 21));
  EXPECT_FALSE(tensors_close(changed.narrow(0, 21, 12), same.narrow(0, 21, 12), 1e-2, 1e-2));
}

TEST_F(Render, DryRunPrintsAConfigurationThatGivesTheSameVideo) {
  const ProgramRun dry = render("video", {"--dry-run"});
  ASSERT_EQ(dry.status, 0) << dry.err;
  EXPECT_THAT(dry.out, HasSubstr("# expected time: "));
  EXPECT_THAT(dry.out, HasSubstr("# expected memory: "));
  EXPECT_FALSE(std::filesystem::exists(video("video"))) << "a dry run writes nothing";
  EXPECT_FALSE(std::filesystem::exists(folder_ / "video.parts"));
  std::ofstream(folder_ / "video.yaml") << dry.out;
  ASSERT_EQ(render("direct").status, 0);
  ASSERT_EQ(run_program({"render", "--config", folder_ / "video.yaml"}).status, 0);
  EXPECT_TENSORS_IDENTICAL(frames("video"), frames("direct"));
}

TEST_F(Render, RecordHoldsThePromptAndReplayNeedsNone) {
  ASSERT_EQ(render("first", {"--record", folder_ / "r.safetensors", "--prompt-at", "1=a blue lake"}).status, 0);
  const auto record = WeightStore::open(folder_ / "r.safetensors");
  EXPECT_EQ(record->shape("ids"), (std::vector<int64_t>{1, 16}));
  EXPECT_TRUE(record->contains("mask"));
  EXPECT_TRUE(record->contains("prompt_embeds.1"));
  const ProgramRun run =
      run_program({"render", "--model", model(), "--output", video("again"), "--device", "cpu", "--dtype", "float32",
                   "--replay", folder_ / "r.safetensors", "--record", folder_ / "s.safetensors"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_TENSORS_IDENTICAL(WeightStore::open(folder_ / "s.safetensors")->tensor("latents"), record->tensor("latents"));
}

TEST_F(Render, TokenIdsOfARecordingAreEncodedAgain) {
  ASSERT_EQ(render("first", {"--record", folder_ / "r.safetensors"}).status, 0);
  const auto record = WeightStore::open(folder_ / "r.safetensors");
  std::vector<std::pair<std::string, at::Tensor>> inputs;
  for (const std::string& name : record->names()) {
    if (name == "ids" || name == "mask" || name == "noise" || name.starts_with("renoise")) {
      inputs.emplace_back(name, record->tensor(name).clone());
    }
  }
  write_tensor_file(folder_ / "ids.safetensors", inputs);
  const ProgramRun run =
      run_program({"render", "--model", model(), "--output", video("again"), "--device", "cpu", "--dtype", "float32",
                   "--replay", folder_ / "ids.safetensors", "--record", folder_ / "s.safetensors"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_TENSORS_IDENTICAL(WeightStore::open(folder_ / "s.safetensors")->tensor("latents"), record->tensor("latents"));
}

TEST_F(Render, StartsFromAnImageWhereTheModelDenoisesFrameByFrame) {
  write_png(folder_ / "start.png", formula_data("start", {3, 40, 60}, 0.5) + 0.5);
  const Words image = {"--image", folder_ / "start.png"};
  const ProgramRun refused = render("video", image);
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("frames_per_block"));
  const ProgramRun run = render("video", {"--image", folder_ / "start.png", "--set", "recipe.frames_per_block=1"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(frames("video").size(0), 1 + 18);
}

TEST_F(Render, StartsFromAnImageWhereTheFirstFrameIsABlockOfItsOwn) {
  write_png(folder_ / "start.png", formula_data("start", {3, 40, 60}, 0.5) + 0.5);
  const ProgramRun run =
      render("video", {"--image", folder_ / "start.png", "--set", "recipe.independent_first_frame=true", "--record",
                       folder_ / "r.safetensors"});
  ASSERT_EQ(run.status, 0) << run.err;
  const auto record = WeightStore::open(folder_ / "r.safetensors");
  EXPECT_EQ(frames("video").size(0), 1 + 18);
  EXPECT_EQ(record->shape("initial_latent").at(1), 1);
  EXPECT_EQ(record->shape("noise").at(1), 6) << "two blocks of three latent frames follow the frame";
  EXPECT_TENSORS_IDENTICAL(record->tensor("latents").narrow(1, 0, 1), record->tensor("initial_latent"));
  ASSERT_EQ(
      render("again", {"--replay", folder_ / "r.safetensors", "--set", "recipe.independent_first_frame=true"}).status,
      0);
  const int64_t whole = 1 + 12;  // the last segment is cut in one of them, so it is encoded otherwise
  EXPECT_TENSORS_IDENTICAL(frames("again").narrow(0, 0, whole), frames("video").narrow(0, 0, whole));
}

TEST_F(Render, AFirstFrameAloneIsRecordedAndReplayed) {
  const Words alone = {"--set", "recipe.independent_first_frame=true"};
  Words record = alone, replay = alone;
  record.insert(record.end(), {"--record", folder_ / "r.safetensors", "--set", "frames=25"});
  replay.insert(replay.end(), {"--replay", folder_ / "r.safetensors"});
  const ProgramRun run = render("video", record);
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(read_json(sidecar("video")).at("video").at("frame_blocks"), 3) << "1 + 3 + 3 latent frames";
  ASSERT_EQ(render("again", replay).status, 0);
  EXPECT_TENSORS_IDENTICAL(frames("again"), frames("video"));
}

TEST_F(Render, EncodedPromptsAreKeptAndTheVideoIsTheSame) {
  const TemporaryFolder cache;
  const std::string before = std::getenv("XDG_CACHE_HOME");
  ::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
  const auto kept = [&] {
    std::vector<std::filesystem::path> files;
    const auto folder = cache / "flashblock" / "embeddings";
    if (!std::filesystem::exists(folder)) return files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
    return files;
  };
  ASSERT_EQ(render("without", {"--no-cache"}).status, 0);
  EXPECT_EQ(kept().size(), 0u);
  ASSERT_EQ(render("first").status, 0);
  ASSERT_EQ(kept().size(), 1u);
  ASSERT_EQ(render("again").status, 0);
  EXPECT_TENSORS_IDENTICAL(frames("first"), frames("without"));
  EXPECT_TENSORS_IDENTICAL(frames("again"), frames("without"));
  EXPECT_EQ(read_json(sidecar("again")).at("weights"), read_json(sidecar("without")).at("weights"));
  // A valid file with another embedding shows that the video is made from the cache.
  const auto store = WeightStore::open(kept().front());
  const at::Tensor other = store->tensor("embedding") * -1;
  Sha256 hash;
  hash.update({static_cast<const std::byte*>(other.const_data_ptr()), other.nbytes()});
  write_tensor_file(kept().front(), {{"embedding", other}}, {{"sha256", hash.finish()}});
  ASSERT_EQ(render("tampered").status, 0);
  EXPECT_FALSE(tensors_close(frames("tampered"), frames("without"), 1e-2, 1e-2));
  // A damaged one is ignored and written again.
  std::filesystem::resize_file(kept().front(), std::filesystem::file_size(kept().front()) - 3);
  ASSERT_EQ(render("damaged").status, 0);
  ASSERT_EQ(render("mended").status, 0);
  EXPECT_TENSORS_IDENTICAL(frames("damaged"), frames("without"));
  EXPECT_TENSORS_IDENTICAL(frames("mended"), frames("without"));
  ::setenv("XDG_CACHE_HOME", before.c_str(), 1);
}

TEST_F(Render, OffloadedLayersGiveTheSameVideo) {
  ASSERT_EQ(render("resident").status, 0);
  ASSERT_EQ(render("offloaded", {"--offload"}).status, 0);
  EXPECT_TRUE(read_json(sidecar("offloaded")).at("configuration").at("offload"));
  EXPECT_TENSORS_IDENTICAL(frames("offloaded"), frames("resident"));
}

TEST_F(Render, GoesOnWhereAVideoEnds) {
  ASSERT_EQ(render("first").status, 0);
  const ProgramRun run = render("second", {"--video", video("first"), "--record", folder_ / "r.safetensors"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(WeightStore::open(folder_ / "r.safetensors")->shape("initial_latent").at(1), 3);
  EXPECT_EQ(frames("second").size(0), 9 + 18) << "18 frames hold one frame block of three latent frames";
  ASSERT_EQ(render("short", {"--set", "frames=5"}).status, 0);
  const ProgramRun refused = render("third", {"--video", video("short")});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("at least 9"));
}

TEST_F(Render, InfoDescribesAModel) {
  const ProgramRun words = run_program({"info", model()});
  EXPECT_EQ(words.status, 0) << words.err;
  EXPECT_THAT(words.out, HasSubstr("UMT5"));
  const nlohmann::json json = nlohmann::json::parse(run_program({"info", model(), "--json"}).out);
  EXPECT_EQ(json.at("name"), "small");
  EXPECT_EQ(json.at("parts").size(), 4u);
}

TEST_F(Render, InfoTellsTheMemoryOfAVideoAsADryRunDoes) {
  const ProgramRun words = run_program({"info", model(), "--size", "64x48"});
  EXPECT_EQ(words.status, 0) << words.err;
  EXPECT_THAT(words.out, AllOf(HasSubstr("a video of 64x48"), HasSubstr("expected memory: "),
                               HasSubstr("weights of the transformer: ")));
  const nlohmann::json memory =
      nlohmann::json::parse(run_program({"info", model(), "--size", "64x48", "--json"}).out).at("memory");
  EXPECT_EQ(memory.at("size"), "64x48");
  EXPECT_GT(memory.at("host_bytes"), memory.at("host_parts").at("weights of the transformer"));
  for (const char* size : {"64", "65x48"}) {
    const ProgramRun refused = run_program({"info", model(), "--size", size});
    EXPECT_EQ(refused.status, 2);
    EXPECT_THAT(refused.err, HasSubstr(size));
  }
}

TEST_F(Render, PresetsSayWhyTheyCannotBeRenderedOrHowToGetTheirFiles) {
  const auto run = [&](const std::string& preset) {
    return run_program({"render", "a hill", "--output", folder_ / "video.mp4", "--model",
                        test_data("../../configs/models/" + preset + ".yaml")});
  };
  const std::pair<const char*, const char*> refused[] = {{"rolling-forcing", "five frame blocks together"},
                                                         {"wan2.2-a14b", "two transformers"},
                                                         {"causal-forcing-longvideo", "several frame blocks together"}};
  for (const auto& [preset, reason] : refused) {
    EXPECT_EQ(run(preset).status, 2);
    EXPECT_THAT(run(preset).err, AllOf(HasSubstr("cannot be rendered"), HasSubstr(reason))) << preset;
  }
  EXPECT_EQ(run("self-forcing-dmd").status, 3);
  EXPECT_THAT(run("self-forcing-dmd").err, AllOf(HasSubstr("self_forcing_dmd.pt does not exist"),
                                                 HasSubstr("scripts/download-models self-forcing-dmd")));
}

TEST_F(Render, InfoOfAModelWhosePartIsAFolderFindsNothingMissing) {
  std::filesystem::copy(model(), folder_ / "parts");
  std::filesystem::create_directory(folder_ / "parts/transformer");
  for (const char* file : {"transformer.safetensors", "config.json"})
    std::filesystem::rename(folder_ / "parts" / file, folder_ / "parts/transformer" / file);
  std::ofstream(folder_ / "parts/model.yaml")
      << "transformer: transformer\ntext_encoder: umt5.safetensors\ntokenizer: spiece.model\nvae: vae.safetensors\n";
  const ProgramRun run = run_program({"info", folder_ / "parts"});
  EXPECT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, Not(HasSubstr("missing")));
}

TEST_F(Render, WhatAPromptLeavesOpenIsChosenBySeedAndToldAndResumed) {
  const std::filesystem::path choosing = folder_ / "choosing";
  std::filesystem::copy(model(), choosing);
  std::ofstream(choosing / "model.yaml", std::ios::app)
      << "choices:\n- {phrases: [in the sun, in the rain], unless: [sun, rain]}\n"
         "- phrases: [view one, view two, view three, view four]\n";
  const Words change = {"--prompt-at", "0.8=rain"};
  ASSERT_EQ(render_with(choosing, "video", change).status, 0);
  const auto choices = read_json(sidecar("video"))["video"]["choices"].get<Words>();
  ASSERT_EQ(choices.size(), 2u);
  Words told = command("whole", {"--prompt-at", "0.8=rain, " + choices[1]});
  std::replace(told.begin(), told.end(), std::string("a red hill"), "a red hill, " + choices[0] + ", " + choices[1]);
  ASSERT_EQ(run_program(told).status, 0);
  EXPECT_TRUE(frames("video").equal(frames("whole"))) << "as if the prompts had told it";
  EXPECT_NE(read_json(sidecar("whole"))["identity"]["facts"], read_json(sidecar("video"))["identity"]["facts"]);

  const ProgramRun dry = render_with(choosing, "dry", {"--dry-run"});
  EXPECT_THAT(dry.out, HasSubstr("# chosen for what the prompt leaves open: " + choices[0] + ", " + choices[1]));
  EXPECT_THAT(dry.out, Not(HasSubstr("choices:"))) << "another seed chooses anew";
  EXPECT_THAT(render("plain", {"--dry-run"}).out, Not(HasSubstr("chosen")));

  Words again = change;
  again.push_back("--resume");
  EXPECT_EQ(render_with(choosing, "video", again).status, 0);
  std::ofstream(choosing / "model.yaml", std::ios::app) << "- phrases: [at last]\n";
  const ProgramRun other = render_with(choosing, "video", again);
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("choices: "));
  ASSERT_EQ(render_with(choosing, "as_it_is", {"--set", "choices=[]"}).status, 0);
  ASSERT_EQ(render("same").status, 0);
  EXPECT_TRUE(frames("as_it_is").equal(frames("same")));
}

TEST_F(Render, InfoNamesWhatIsMissing) {
  std::filesystem::copy(model(), folder_ / "cut");
  std::filesystem::remove(folder_ / "cut/umt5.safetensors");
  const ProgramRun run = run_program({"info", folder_ / "cut"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.out, HasSubstr("umt5.safetensors"));
}

TEST_F(Render, InfoTellsTheScaleOfAnAdapterAndWhichWeightsAreUsed) {
  std::filesystem::copy(model(), folder_ / "adapted");
  std::ofstream(folder_ / "adapted/model.yaml", std::ios::app) << "lora: [{file: gone.pt, scale: 0.8, weights: a}]\n";
  EXPECT_THAT(run_program({"info", folder_ / "adapted"}).out, HasSubstr("lora (a): times 0.8, "));
  const auto json = nlohmann::json::parse(run_program({"info", folder_ / "adapted", "--json"}).out);
  EXPECT_EQ(json.at("parts").back().at("scale"), 0.8);
  EXPECT_EQ(json.at("parts").back().at("weights"), "a");
}

// configs/smoke.yaml with the demo model, as a user runs it first.
TEST_F(Render, SmokeConfigurationRendersWithTheDemoModel) {
  if (!std::filesystem::exists(test_data("../../assets/demo/wan_vae.safetensors"))) {
    GTEST_SKIP() << "the demo model is not here";
  }
  const ProgramRun run =
      run_program({"render", "--config", test_data("../../configs/smoke.yaml"), "--model",
                   test_data("../../assets/demo"), "--output", video("smoke"), "--contact-sheet", folder_ / "s.png"});
  ASSERT_EQ(run.status, 0) << run.err;
  const at::Tensor smoke = frames("smoke");
  EXPECT_EQ(smoke.size(0), 33);
  EXPECT_GT(smoke.std().item<float>(), 0.05) << "the frames show nothing";
}

/// A wrong command: what is added to a valid one, the exit status, and what the error line must name.
struct Mistake {
  const char* name;
  Words words;
  int status;
  std::vector<const char*> complaint;
};

/// One of its numbers is none.
void spoil_vae(const std::filesystem::path& file) {
  std::map<std::string, at::Tensor> tensors;
  {
    const auto store = WeightStore::open(file);
    for (const std::string& name : store->names()) tensors[name] = store->tensor(name).clone();
  }
  tensors.at("decoder.conv1.weight").view(-1)[7] = std::numeric_limits<float>::quiet_NaN();
  write_tensor_file(file, {tensors.begin(), tensors.end()});
}

class Mistakes : public Render, public ::testing::WithParamInterface<Mistake> {};

TEST_P(Mistakes, GetAStatusAndOneLine) {
  Words words = GetParam().words;
  for (std::string& word : words) {
    if (const auto at = word.find("FOLDER"); at != std::string::npos) word.replace(at, 6, folder_.path().string());
  }
  std::ofstream(folder_ / "text.txt") << "not what it says\n";
  std::filesystem::copy(model(), folder_ / "small");
  std::filesystem::copy(model(), folder_ / "no_vae");
  std::filesystem::remove(folder_ / "no_vae/vae.safetensors");
  std::filesystem::copy(model(), folder_ / "nan_weights");
  spoil_vae(folder_ / "nan_weights/vae.safetensors");
  std::filesystem::copy(model(), folder_ / "no_text");
  std::filesystem::remove(folder_ / "no_text/umt5.safetensors");
  std::filesystem::remove(folder_ / "no_text/spiece.model");
  write_tensor_file(folder_ / "nan.safetensors",
                    {{"noise", at::full({1, 3, 16, 4, 6}, std::numeric_limits<float>::quiet_NaN())}});

  const ProgramRun run = run_program(words.front() == "render" ? words : command("video", words));
  EXPECT_EQ(run.status, GetParam().status) << run.err;
  EXPECT_EQ(run.err.rfind("flashblock: error: ", 0), 0u) << run.err;
  EXPECT_EQ(run.err.find('\n'), run.err.size() - 1) << "one line: " << run.err;
  for (const char* part : GetParam().complaint) EXPECT_THAT(run.err, HasSubstr(part));
  EXPECT_FALSE(std::filesystem::exists(video("video")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "video.parts"));
}

INSTANTIATE_TEST_SUITE_P(
    All, Mistakes,
    ::testing::Values(
        Mistake{"unknown_option", {"--colour", "red"}, 2, {"--colour"}},
        Mistake{"unknown_key", {"--set", "recipe.sink=3"}, 2, {"--set", "recipe.sink", "sink_frames"}},
        Mistake{"bad_value", {"--fps", "fast"}, 2, {"--fps", "fast"}},
        Mistake{"bad_size", {"--size", "50x30"}, 2, {"50x30", "48x32"}},
        Mistake{"no_prompt", {"render", "--model", "FOLDER/small"}, 2, {"no prompt"}},
        Mistake{"two_lengths", {"--seconds", "1"}, 2, {"--seconds", "--frames"}},
        Mistake{"late_prompt", {"--prompt-at", "9=night"}, 2, {"9 s", "after the end"}},
        Mistake{"prompt_in_first_block", {"--prompt-at", "0.1=night"}, 2, {"0.1 s", "already has a prompt"}},
        Mistake{"not_mp4", {"--set", "output=video.avi"}, 2, {"video.avi", ".mp4"}},
        Mistake{"no_folder", {"--set", "output=FOLDER/gone/video.mp4"}, 5, {"gone"}},
        Mistake{"bad_window", {"--set", "recipe.window_frames=4"}, 2, {"window_frames"}},
        Mistake{"bad_device", {"--set", "device=tpu"}, 2, {"tpu", "cuda"}},
        Mistake{"no_such_gpu", {"--set", "device=cuda:63"}, 4, {"cuda:63"}},
        Mistake{"bad_dtype", {"--set", "dtype=int8"}, 2, {"int8", "bfloat16"}},
        Mistake{"no_model", {"--set", "model=FOLDER/gone"}, 3, {"gone"}},
        Mistake{"no_vae", {"--set", "model=FOLDER/no_vae"}, 3, {"vae.safetensors"}},
        Mistake{"nan_weights",
                {"--set", "model=FOLDER/nan_weights"},
                3,
                {"nan_weights/vae.safetensors", "'decoder.conv1.weight'", "not finite"}},
        Mistake{"no_text", {"--set", "model=FOLDER/no_text"}, 3, {"umt5.safetensors", "spiece.model"}},
        Mistake{"no_image", {"--image", "FOLDER/gone.png", "--set", "recipe.frames_per_block=1"}, 5, {"gone.png"}},
        Mistake{"image_is_text", {"--image", "FOLDER/text.txt", "--set", "recipe.frames_per_block=1"}, 5, {"text.txt"}},
        Mistake{"video_is_text", {"--video", "FOLDER/text.txt"}, 5, {"text.txt"}},
        Mistake{"no_record", {"--replay", "FOLDER/gone.safetensors"}, 2, {"gone.safetensors"}},
        Mistake{"record_is_text", {"--replay", "FOLDER/text.txt"}, 2, {"text.txt"}},
        Mistake{"record_has_nan", {"--replay", "FOLDER/nan.safetensors"}, 2, {"nan.safetensors", "noise"}},
        Mistake{"record_folder", {"--record", "FOLDER/gone/r.safetensors"}, 5, {"gone"}},
        Mistake{"sheet_name", {"--contact-sheet", "FOLDER/sheet.jpg"}, 2, {"sheet.jpg", ".png"}},
        Mistake{"preset", {"--set", "encoder.preset=warp"}, 2, {"warp"}}),
    [](const auto& info) { return std::string(info.param.name); });

/// A video that takes some seconds, in a separate process.
class LongRender : public Render {
 protected:
  std::filesystem::path parts() const { return folder_ / "video.parts"; }
  Words long_command() const { return command("video", {"--set", "frames=20000", "--progress", "json"}); }

  void wait_for_segments(size_t count) const {
    char name[16];
    std::snprintf(name, sizeof name, "%06zu.m4s", count - 1);
    for (int i = 0; i < 3000 && !std::filesystem::exists(parts() / name); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    ASSERT_TRUE(std::filesystem::exists(parts() / name)) << read_text(folder_ / "errors");
  }

  /// Frames of the segments, one after the other in one file.
  int64_t playable_frames() const {
    std::ofstream joined(folder_ / "segments.mp4", std::ios::binary);
    joined << read_text(parts() / "init.mp4");
    char name[16];
    for (int segment = 0;; ++segment) {
      std::snprintf(name, sizeof name, "%06d.m4s", segment);
      if (!std::filesystem::exists(parts() / name)) break;
      joined << read_text(parts() / name);
    }
    joined.close();
    return read_video(folder_ / "segments.mp4").size(0);
  }
};

class Signals : public LongRender, public ::testing::WithParamInterface<int> {};

TEST_P(Signals, KeepFinishedSegmentsAndSaySo) {
  StartedProgram program(long_command(), folder_ / "errors");
  wait_for_segments(3);
  program.signal(GetParam());
  EXPECT_EQ(program.wait(), 128 + GetParam());
  EXPECT_GE(playable_frames(), 33);
  EXPECT_FALSE(std::filesystem::exists(video("video")));
  if (GetParam() != SIGKILL) {
    EXPECT_THAT(read_text(folder_ / "errors"), HasSubstr("flashblock: interrupted after"));
    EXPECT_THAT(read_text(folder_ / "errors"), HasSubstr("video.parts"));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Signals, ::testing::Values(SIGINT, SIGTERM, SIGKILL),
                         [](const auto& info) { return "Signal" + std::to_string(info.param); });

}  // namespace
}  // namespace flashblock
