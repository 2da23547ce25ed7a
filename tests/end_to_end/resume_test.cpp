// `flashblock render --resume`: a video that was interrupted in any way, and resumed, is the video of one run, bit for
// bit.
#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <regex>
#include <thread>

#include "media/png_writer.h"
#include "tests/end_to_end/unfinished_video.h"
#include "tests/support/formula_weights.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

void flip_byte(const fs::path& file) {
  std::string bytes = read_text(file);
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(file, std::ios::binary) << bytes;
}

using Resume = UnfinishedVideo;

/// Settings of a video, and the segment after which it is interrupted.
struct Interruption {
  const char* name;
  Words words;
  int64_t segments;
};

class ResumedVideo : public UnfinishedVideo, public ::testing::WithParamInterface<Interruption> {};

TEST_P(ResumedVideo, IsTheVideoOfOneRun) {
  write_png(folder_ / "start.png", formula_data("start", {3, 40, 60}, 0.5) + 0.5);
  const std::string name = GetParam().name;
  if (name == "video") {
    ASSERT_EQ(render("earlier", {"--set", "frames=21"}).status, 0);
  }
  if (name == "replay") {
    ASSERT_EQ(render("recorded", {"--record", folder_ / "input.safetensors"}).status, 0);
  }
  const auto words = [&](const std::string& name) {
    Words words = GetParam().words;
    for (std::string& word : words) {
      if (const auto at = word.find("FOLDER"); at != std::string::npos) word.replace(at, 6, folder_.path().string());
    }
    words.insert(words.end(),
                 {"--record", folder_ / (name + ".safetensors"), "--contact-sheet", folder_ / (name + ".png")});
    return words;
  };
  ASSERT_EQ(render("whole", words("whole")).status, 0);
  leave_unfinished("cut", GetParam().segments, words("cut"));
  const ProgramRun run = resume("cut");
  ASSERT_EQ(run.status, 0) << run.err;
  expect_same("cut", "whole");
  expect_same_tensors(folder_ / "cut.safetensors", folder_ / "whole.safetensors");
  EXPECT_EQ(read_text(folder_ / "cut.png"), read_text(folder_ / "whole.png"));
  const nlohmann::json sidecar_json = read_json(folder_ / "cut.json");
  EXPECT_GT(sidecar_json.at("video").at("resumed_frame_blocks"), 0);
  EXPECT_EQ(sidecar_json.at("video").at("frames"), read_json(folder_ / "whole.json").at("video").at("frames"));
}

INSTANTIATE_TEST_SUITE_P(
    All, ResumedVideo,
    ::testing::Values(
        Interruption{"plain", {}, 3}, Interruption{"complete_but_for_joining", {}, 5},
        Interruption{"prompts", {"--prompt-at", "1.4=a blue lake", "--prompt-at", "2.9=night"}, 4},
        Interruption{"guidance", {"--set", "recipe.guidance_scale=3", "--prompt-at", "1.4=a blue lake"}, 4},
        Interruption{"int8", {"--precision", "int8"}, 3},
        Interruption{"first_pass", {"--set", "attention.refresh=first_pass"}, 3},
        Interruption{
            "image", {"--image", "FOLDER/start.png", "--set", "recipe.frames_per_block=1", "--set", "frames=21"}, 4},
        Interruption{"ema_sink",
                     {"--set", "recipe.context_rule=ema_sink", "--set", "recipe.window_frames=9", "--set",
                      "recipe.sink_frames=3"},
                     4},
        Interruption{"memory_bank",
                     {"--set", "recipe.context_rule=memory_bank", "--set", "recipe.bank_interval=1", "--set",
                      "recipe.bank_frames=2", "--prompt-at", "1.4=a blue lake"},
                     4},
        Interruption{"recomputed",
                     {"--set", "recipe.context_rule=recomputed", "--set", "recipe.window_frames=6", "--set",
                      "recipe.sink_frames=0"},
                     3},
        Interruption{"shots",
                     {"--set", "recipe.shot_offset_frames=8", "--set", "recipe.kv_recache=false", "--set",
                      "recipe.window_frames=12", "--set", "recipe.sink_frames=3", "--prompt-at",
                      "1.4=The scene transitions. a blue lake"},
                     4},
        Interruption{"video", {"--video", "FOLDER/earlier.mp4", "--set", "frames=33"}, 3},
        Interruption{"replay", {"--replay", "FOLDER/input.safetensors"}, 2}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(Resume, TornAndMissingSegmentsAreRenderedAgain) {
  ASSERT_EQ(render("whole").status, 0);
  leave_unfinished("left", 5);
  const std::vector<std::function<void(const fs::path&)>> damages = {
      [](const fs::path& folder) { fs::resize_file(folder / segment(4), 100); },
      [](const fs::path& folder) { fs::remove(folder / segment(2)); },
      [](const fs::path& folder) { flip_byte(folder / segment(3)); },
      [](const fs::path& folder) { fs::resize_file(folder / segment(3, ".safetensors"), 50); },
      [](const fs::path& folder) { fs::remove(folder / segment(0, ".safetensors")); },
      [](const fs::path& folder) { flip_byte(folder / segment(3, ".safetensors")); },
      [](const fs::path& folder) { fs::remove(folder / "init.mp4"); },
      [](const fs::path& folder) { std::ofstream(folder / (segment(5) + ".part")) << "torn"; }};
  for (size_t i = 0; i < damages.size(); ++i) {
    const std::string name = "damage" + std::to_string(i);
    fs::copy(parts("left"), parts(name));
    damages[i](parts(name));
    const ProgramRun run = resume(name);
    ASSERT_EQ(run.status, 0) << name << ": " << run.err;
    expect_same(name, "whole");
  }
}

TEST_F(Resume, AnotherVideoIsRefusedAndTheDifferenceNamed) {
  leave_unfinished("video", 2);
  const auto expect_refused = [&](const Words& more, const std::string& what) {
    const ProgramRun run = resume("video", more);
    EXPECT_EQ(run.status, 2) << what;
    EXPECT_THAT(run.err, AllOf(HasSubstr(what), HasSubstr("--overwrite")));
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  };
  expect_refused({"--set", "seed=8"}, "seed: 7 there, 8 here");
  expect_refused({"--set", "recipe.steps=[1000]"}, "recipe.steps");
  expect_refused({"--prompt", "a blue lake"}, "prompt: a red hill there, a blue lake here");
  expect_refused({"--prompt-at", "1.4=night"}, "timeline");
  expect_refused({"--attention", "exact"}, "attention.mode");
  expect_refused({"--frames", "90"}, "frames: 57 there, 90 here");
  expect_refused({"--dtype", "bfloat16"}, "dtype: float32 there, bfloat16 here");
  expect_refused({"--precision", "int8"}, "precision.linears: native there, int8 here");
  expect_refused({"--set", "encoder.crf=30"}, "encoder.crf");
  const std::string identity = read_text(parts("video") / "video.json");
  const std::string other = std::regex_replace(identity, std::regex("flashblock 0[^\"]*"), "flashblock 0.0.1");
  std::ofstream(parts("video") / "video.json") << other;
  expect_refused({}, "program: flashblock 0.0.1 there");
  fs::remove(parts("video") / "video.json");
  expect_refused({}, "video.parts");
  std::ofstream(parts("video") / "video.json") << identity;
  EXPECT_EQ(resume("video").status, 0) << "the refusals have changed something";
}

TEST_F(Resume, ChangedWeightsAreRefusedAndTouchedOnesAreNot) {
  fs::copy(model(), folder_ / "other");
  const Words other = {"--set", "model=" + (folder_ / "other").string()};
  leave_unfinished("video", 2, other);
  const fs::path weights = folder_ / "other/transformer.safetensors";
  std::string bytes = read_text(weights);
  bytes[bytes.size() - 2] ^= 1;
  std::ofstream(weights, std::ios::binary) << bytes;
  const ProgramRun refused = resume("video");
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("transformer"), HasSubstr("another content")));
  bytes[bytes.size() - 2] ^= 1;
  std::ofstream(weights, std::ios::binary) << bytes;  // changed later than the video, and the same
  EXPECT_EQ(resume("video").status, 0);
}

TEST_F(Resume, PromptsThatAreNotToBeToldAreNotKept) {
  ASSERT_EQ(render("whole", {"--no-metadata"}).status, 0);
  leave_unfinished("video", 3, {"--no-metadata"});
  for (const auto& entry : fs::directory_iterator(parts("video"))) {
    EXPECT_THAT(read_text(entry.path()), Not(HasSubstr("red hill"))) << entry.path();
  }
  EXPECT_EQ(resume("video").status, 2) << "there is no prompt";
  const ProgramRun refused = resume("video", {"--prompt", "a blue hill"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("prompt: another one"));
  ASSERT_EQ(resume("video", {"--prompt", "a red hill"}).status, 0);
  expect_same("video", "whole");
}

TEST_F(Resume, CompleteVideoIsLeftAloneAndNothingStartsOver) {
  ASSERT_EQ(render("video", {"--resume"}).status, 0) << "nothing is there: the video begins";
  const std::string before = read_text(video("video"));
  const ProgramRun again = resume("video");
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("is complete"));
  const ProgramRun other = resume("video", {"--set", "seed=8"});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("seed: 7 there, 8 here"));
  EXPECT_EQ(read_text(video("video")), before);
  EXPECT_EQ(resume("video", {"--overwrite"}).status, 2);
  fs::remove(folder_ / "video.json");
  EXPECT_EQ(render("video", {"--resume"}).status, 2) << "nobody knows what video it is";
}

TEST_F(Resume, UnfinishedVideoWithoutAWordIsLeftAlone) {
  leave_unfinished("video", 2);
  const ProgramRun run = render("video");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("--resume"));
  EXPECT_TRUE(fs::exists(parts("video") / segment(1)));
}

TEST_F(Resume, FolderWithoutSegmentsIsNotInTheWay) {
  ASSERT_EQ(render("whole").status, 0);
  leave_unfinished("video", 1);
  fs::remove(parts("video") / segment(0));  // as a run leaves it that is killed in its first frame block
  const ProgramRun run = render("video");
  ASSERT_EQ(run.status, 0) << run.err;
  expect_same("video", "whole");
}

/// Runs in separate processes, which are ended in several ways.
TEST_F(Resume, KillsAndSignalsInAnyOrder) {
  const Words longer = {"--set", "frames=393", "--prompt-at", "12=a blue lake"};
  ASSERT_EQ(render("whole", longer).status, 0);
  const Words again = {"render", "--resume", "--output", video("video")};
  {
    StartedProgram program(command("video", longer), folder_ / "errors");
    wait_for(parts("video") / segment(2));
    program.signal(SIGKILL);
    EXPECT_EQ(program.wait(), 128 + SIGKILL);
  }
  {
    StartedProgram program(again, folder_ / "errors");  // killed while it loads or restores the context
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    program.signal(SIGKILL);
    program.wait();
  }
  {
    StartedProgram program(again, folder_ / "errors");
    wait_for(parts("video") / segment(8));
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait(), 128 + SIGTERM);
    EXPECT_THAT(read_text(folder_ / "errors"),
                HasSubstr("flashblock render --resume --output " + video("video").string()));
  }
  EXPECT_FALSE(fs::exists(video("video")));
  fs::resize_file(parts("video") / segment(7), 200);
  ASSERT_EQ(run_program(again).status, 0);
  expect_same("video", "whole");
}

TEST_F(Resume, FullDiskInMidVideoKeepsWhatIsFinished) {
  const Words longer = {"--set", "frames=393"};
  ASSERT_EQ(render("whole", longer).status, 0);
  const auto before = ::signal(SIGXFSZ, SIG_IGN);  // inherited: a write fails, as on a full disk
  {
    StartedProgram program(command("video", longer), folder_ / "errors");
    wait_for(parts("video") / segment(2));
    program.limit_files(3000);
    EXPECT_EQ(program.wait(), 5) << read_text(folder_ / "errors");
  }
  ::signal(SIGXFSZ, before);
  EXPECT_THAT(read_text(folder_ / "errors"), AllOf(HasSubstr("flashblock: error: "), HasSubstr("video.parts"),
                                                   HasSubstr("flashblock render --resume --output")));
  EXPECT_TRUE(fs::exists(parts("video") / segment(2)));
  EXPECT_FALSE(fs::exists(video("video")));
  ASSERT_EQ(resume("video").status, 0);
  expect_same("video", "whole");
}

}  // namespace
}  // namespace flashblock
