// A video whose prompts change while it is rendered, and the same video again from the timeline it left.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "media/video_reader.h"
#include "render/render.h"
#include "settings/config_file.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using namespace testing;

/// A viewer who sends prompts, each once as many frame blocks are on disk. While a prompt waits, writing is slow: the
/// video does not end before it is encoded.
class Viewer : public RenderObserver {
 public:
  Viewer(LivePrompts& prompts, std::vector<std::pair<int64_t, std::string>> script)
      : prompts_(prompts), script_(std::move(script)) {}

  void progress(const RenderProgress& so_far) override {
    if (!script_.empty() && so_far.block >= script_.front().first) {
      prompts_.change_to(script_.front().second);
      script_.erase(script_.begin());
    }
    if (prompts_.state().waiting) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    work = so_far.transformer;
  }
  void prompt_changed(const TakenPrompt& prompt, double seconds) override { seen.emplace_back(prompt.block, seconds); }

  std::vector<std::pair<int64_t, double>> seen;
  TransformerCounters work;

 private:
  LivePrompts& prompts_;
  std::vector<std::pair<int64_t, std::string>> script_;
};

class Steering : public ::testing::Test {
 protected:
  void SetUp() override { write_prompted_model(folder_ / "model"); }

  std::filesystem::path video(const std::string& name) const { return folder_ / (name + ".mp4"); }
  std::filesystem::path record(const std::string& name) const { return folder_ / (name + ".safetensors"); }

  RenderConfig config(const std::string& name) const {
    const auto layer = [](const std::string& key, const std::string& value) {
      return make_config_layer("--set", key, YAML::Node(value));
    };
    return resolve_config({layer("model", folder_ / "model"), layer("prompt", "a red hill"), layer("frames", "477"),
                           layer("seed", "7"), layer("device", "cpu"), layer("output", video(name)),
                           layer("record", record(name))});
  }

  /// Renders `name` while the viewer sends prompts.
  RenderResult render_live(const std::string& name, const std::shared_ptr<LivePrompts>& prompts, Viewer& viewer) const {
    return Renderer().render(config(name), viewer, {}, {.prompts = prompts});
  }

  /// Renders the video of `timeline` from the command line.
  ProgramRun render_again(const std::string& name, const RenderConfig& steered) const {
    std::vector<std::string> words = {"render",   steered.prompt, "--model",  folder_ / "model", "--frames",
                                      "477",      "--seed",       "7",        "--device",        "cpu",
                                      "--output", video(name),    "--record", record(name),      "--quiet"};
    for (const PromptChange& change : steered.timeline) {
      std::ostringstream at;
      at << change.seconds << "=" << change.prompt;
      words.insert(words.end(), {"--prompt-at", at.str()});
    }
    return run_program(words);
  }

  void expect_same_video(const std::string& first, const std::string& second) const {
    EXPECT_TENSORS_IDENTICAL(read_video(video(first)), read_video(video(second)));
    const auto one = WeightStore::open(record(first)), other = WeightStore::open(record(second));
    ASSERT_EQ(one->names(), other->names());
    for (const std::string& name : one->names()) {
      EXPECT_TENSORS_IDENTICAL(one->tensor(name), other->tensor(name)) << name;
    }
  }

  TemporaryFolder folder_;
};

TEST_F(Steering, VideoAndItsTimelineRenderedAgainAreTheSameBitForBit) {
  const auto prompts = std::make_shared<LivePrompts>();
  Viewer viewer(*prompts, {{2, "a blue lake at night"}, {8, "snow \"falls\": = on it"}});
  const RenderResult result = render_live("live", prompts, viewer);
  ASSERT_EQ(result.outcome, RenderOutcome::kComplete);
  ASSERT_EQ(result.config.timeline.size(), 2u) << "a prompt came too late";
  EXPECT_EQ(result.config.prompt, "a red hill");
  EXPECT_EQ(result.config.timeline[0].prompt, "a blue lake at night");
  const std::vector<TakenPrompt> taken = prompts->state().taken;
  ASSERT_EQ(taken.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_GT(taken[i].block, i == 0 ? 2 : 8) << "the next frame block, not one that is there";
    EXPECT_EQ(viewer.seen[i].first, taken[i].block);
    EXPECT_EQ(viewer.seen[i].second, result.config.timeline[i].seconds);
    EXPECT_EQ(result.config.timeline[i].seconds, (9 + 12 * static_cast<double>(taken[i].block - 1)) / 16);
  }
  EXPECT_EQ(viewer.work.passes, result.counts.transformer.passes);

  const ProgramRun again = render_again("again", result.config);
  ASSERT_EQ(again.status, 0) << again.err;
  expect_same_video("live", "again");
  EXPECT_EQ(read_json(folder_ / "again.json").at("work").at("transformer_passes"), result.counts.transformer.passes);

  // The metadata of the video says how to make it again; the model is given by name there.
  std::ofstream(folder_ / "from_video.yaml") << VideoReader(video("live")).info().metadata.at("configuration");
  const ProgramRun from_video =
      run_program({"render", "--config", folder_ / "from_video.yaml", "--model", folder_ / "model", "--output",
                   video("third"), "--set", "record=" + record("third").string(), "--quiet"});
  ASSERT_EQ(from_video.status, 0) << from_video.err;
  expect_same_video("live", "third");
}

TEST_F(Steering, PromptGivenBeforeTheFirstBlockIsTheVideosPrompt) {
  const auto prompts = std::make_shared<LivePrompts>();
  Viewer viewer(*prompts, {});
  prompts->change_to("a blue lake at night");
  const RenderResult result = render_live("live", prompts, viewer);
  const std::vector<TakenPrompt> taken = prompts->state().taken;
  ASSERT_EQ(taken.size(), 1u);
  const bool first = taken[0].block == 0;  // or later, where encoding takes longer than loading the model
  EXPECT_EQ(result.config.prompt, first ? "a blue lake at night" : "a red hill");
  EXPECT_EQ(result.config.timeline.size(), first ? 0u : 1u);
  ASSERT_EQ(render_again("again", result.config).status, 0);
  expect_same_video("live", "again");
}

}  // namespace
}  // namespace flashblock
