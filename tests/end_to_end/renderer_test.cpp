// The render library as another program uses it: outcomes, existing files, and videos that end early.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "media/video_reader.h"
#include "media/video_writer.h"
#include "render/render.h"
#include "settings/config_file.h"
#include "settings/model_file.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Counts events, and requests a stop once `limit` frame blocks are on disk.
class StopAt : public RenderObserver {
 public:
  explicit StopAt(int64_t limit) : limit_(limit) {}
  void begin(const RenderSetup&) override { ++begun; }
  void progress(const RenderProgress& so_far) override {
    if (so_far.block >= limit_) source.request_stop();
  }

  int begun = 0;
  std::stop_source source;

 private:
  int64_t limit_;
};

class RendererTest : public ::testing::Test {
 protected:
  void SetUp() override { write_prompted_model(folder_ / "model"); }

  std::filesystem::path video(const std::string& name) const { return folder_ / (name + ".mp4"); }
  /// A video of 20 frame blocks with a change of the prompt in block 1 and one in block 17.
  RenderConfig config(const std::string& name) const {
    RenderConfig config = resolve_config({}, load_model_file(folder_ / "model"));
    config.prompt = "a red hill";
    config.timeline = {{.seconds = 1, .prompt = "a blue lake"}, {.seconds = 13, .prompt = "night"}};
    config.frames = 9 + 19 * 12;
    config.seed = 7;
    config.device = "cpu";
    config.cache = false;
    config.output = video(name);
    return config;
  }

  TemporaryFolder folder_;
  Renderer renderer_;
  RenderObserver silent_;
};

TEST_F(RendererTest, LeavesVideoAndSidecarAndKnowsThemAgain) {
  RenderConfig wanted = config("video");
  wanted.frames = 21;
  wanted.timeline.clear();
  StopAt never(1000);
  const RenderResult first = renderer_.render(wanted, never);
  EXPECT_EQ(first.outcome, RenderOutcome::kComplete);
  EXPECT_EQ(first.frames, 21);
  EXPECT_EQ(never.begun, 1);
  EXPECT_EQ(read_json(folder_ / "video.json").at("video").at("frames"), 21);
  EXPECT_THROW(renderer_.render(wanted, silent_), ConfigError) << "it exists";

  const RenderOptions resume{.existing = ExistingFiles::kResumeOrReplace};
  EXPECT_EQ(renderer_.render(wanted, never, {}, resume).outcome, RenderOutcome::kAlreadyComplete);
  EXPECT_EQ(never.begun, 1) << "nothing is rendered";
  wanted.seed = 8;
  EXPECT_THAT(error_text<ConfigError>([&] { renderer_.render(wanted, silent_, {}, resume); }),
              HasSubstr("seed: 7 there, 8 here"));
  wanted.overwrite = true;
  EXPECT_EQ(renderer_.render(wanted, silent_, {}, resume).outcome, RenderOutcome::kComplete) << "replaced";
}

TEST_F(RendererTest, VideoWithoutItsSidecarIsRefused) {
  RenderConfig wanted = config("video");
  wanted.frames = 9;
  wanted.timeline.clear();
  renderer_.render(wanted, silent_);
  std::filesystem::remove(folder_ / "video.json");
  wanted.resume = true;
  try {
    renderer_.render(wanted, silent_);
    FAIL() << "its identity is unknown";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("does not state the identity"));
    std::vector<std::string> keys;
    for (const Remedy& remedy : error.remedies()) keys.push_back(remedy.key);
    EXPECT_THAT(keys, ElementsAre("output", "overwrite"));
  }
}

TEST_F(RendererTest, StoppedVideoIsResumedAndIsThatOfOneRun) {
  renderer_.render(config("whole"), silent_);
  StopAt stop(3);
  const RenderResult stopped = renderer_.render(config("video"), stop, stop.source.get_token());
  ASSERT_EQ(stopped.outcome, RenderOutcome::kStopped);
  EXPECT_EQ(video_state(video("video")), VideoState::kUnfinished);
  RenderConfig rest = config("video");
  rest.resume = true;
  const RenderResult resumed = renderer_.render(rest, silent_);
  EXPECT_EQ(resumed.outcome, RenderOutcome::kComplete);
  EXPECT_EQ(resumed.resumed_blocks, stopped.blocks);
  EXPECT_TENSORS_IDENTICAL(read_video(video("video")), read_video(video("whole")));
}

TEST_F(RendererTest, VideoFinishedEarlyIsTheVideoOfItsConfiguration) {
  StopAt stop(3);
  const RenderResult early = renderer_.render(config("video"), stop, {}, {.finish_early = stop.source.get_token()});
  ASSERT_EQ(early.outcome, RenderOutcome::kFinishedEarly);
  ASSERT_LT(early.blocks, 17) << "the machine is too fast for this test";
  EXPECT_EQ(early.frames, 9 + 12 * (early.blocks - 1));
  ASSERT_EQ(early.config.timeline.size(), 1u) << "the other change comes after the end";
  const nlohmann::json sidecar = read_json(folder_ / "video.json");
  EXPECT_EQ(sidecar.at("video").at("frames"), early.frames);
  EXPECT_EQ(sidecar.at("video").at("frame_blocks"), early.blocks);
  EXPECT_EQ(sidecar.at("configuration").at("timeline").size(), 1u);
  EXPECT_EQ(video_state(video("video")), VideoState::kComplete);

  RenderConfig again = early.config;
  again.resume = true;
  EXPECT_EQ(renderer_.render(again, silent_).outcome, RenderOutcome::kAlreadyComplete) << "its identity is that";
  again.output = video("again");
  EXPECT_EQ(renderer_.render(again, silent_).outcome, RenderOutcome::kComplete);
  EXPECT_TENSORS_IDENTICAL(read_video(video("again")), read_video(video("video")));
}

TEST_F(RendererTest, VideoFinishedBeforeItsFirstBlockLeavesNothing) {
  std::stop_source at_once;
  at_once.request_stop();
  const RenderResult none = renderer_.render(config("video"), silent_, {}, {.finish_early = at_once.get_token()});
  EXPECT_EQ(none.outcome, RenderOutcome::kFinishedEarly);
  EXPECT_EQ(none.frames, 0);
  EXPECT_EQ(video_state(video("video")), VideoState::kAbsent);
}

}  // namespace
}  // namespace flashblock
