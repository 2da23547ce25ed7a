// Checks before a batch, and videos that are done already.
#include "batch/job_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "render/finished_video.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class JobCheck : public ::testing::Test {
 protected:
  std::vector<BatchVideo> checked(const std::string& jobs) const {
    std::ofstream(folder_ / "jobs.yaml") << "defaults: {model: \"" << test_model().string()
                                         << "\", seconds: 2, device: cpu, dtype: float32}\njobs:\n"
                                         << jobs;
    std::vector<BatchVideo> videos = read_jobs_file(folder_ / "jobs.yaml");
    check_videos(videos);
    return videos;
  }
  static std::filesystem::path test_model() {
    return std::filesystem::canonical(testing::test_data("../../assets/demo"));
  }
  static auto fault_at_line(int line, int status, const std::string& text) {
    return ::testing::Optional(
        AllOf(::testing::Field(&JobFault::status, status),
              ::testing::Field(&JobFault::message,
                               AllOf(HasSubstr("jobs.yaml:" + std::to_string(line) + ":"), HasSubstr(text)))));
  }

  testing::TemporaryFolder folder_;
};

TEST_F(JobCheck, FillsInWhatTheRunNeeds) {
  const auto videos = checked("  - {name: a, prompt: a hill, seed: 3}\n");
  ASSERT_FALSE(videos[0].fault) << videos[0].fault->message;
  EXPECT_EQ(videos[0].config.output, folder_ / "videos/a.mp4");
  EXPECT_EQ(videos[0].config.seed, 3U);
  EXPECT_GT(videos[0].blocks, 1);
  EXPECT_EQ(videos[0].frames, 2 * videos[0].config.fps);
  EXPECT_FALSE(videos[0].identity.facts.empty());
  EXPECT_FALSE(videos[0].model_key.empty());
}

TEST_F(JobCheck, VideosShareAModelIfTheyAreComputedAlike) {
  const auto videos = checked(
      "  - {name: a, prompt: a hill}\n"
      "  - {name: b, prompt: a lake, seconds: 3, seed: 1}\n"
      "  - {name: c, prompt: a hill, dtype: bfloat16}\n"
      "  - {name: d, prompt: a hill, attention: {mode: exact}}\n");
  for (const BatchVideo& video : videos) ASSERT_FALSE(video.fault) << video.fault->message;
  EXPECT_EQ(videos[0].model_key, videos[1].model_key);
  EXPECT_NE(videos[0].model_key, videos[2].model_key);
  EXPECT_EQ(videos[0].model_key, videos[3].model_key) << "attention is a setting of the render, not of the weights";
  EXPECT_THAT(render_order(videos), ElementsAre(0U, 1U, 3U, 2U));
}

TEST_F(JobCheck, FaultsNameTheLineAndLeaveTheOthersAlone) {
  const auto videos = checked(
      "  - {name: key, prompt: a hill, sed: 1}\n"
      "  - {name: model, prompt: a hill, model: no/such/model}\n"
      "  - {name: late, prompt: a hill, timeline: [{at: 99, prompt: night}]}\n"
      "  - {name: size, prompt: a hill, size: 47x31}\n"
      "  - {name: kind, prompt: a hill, output: a.avi}\n"
      "  - {name: good, prompt: a hill}\n");
  EXPECT_THAT(videos[0].fault, fault_at_line(3, 2, "did you mean seed?"));
  EXPECT_THAT(videos[1].fault, fault_at_line(4, 3, "no/such/model"));
  EXPECT_THAT(videos[2].fault, fault_at_line(5, 2, "99"));
  EXPECT_THAT(videos[3].fault, fault_at_line(6, 2, "47"));
  EXPECT_THAT(videos[4].fault, fault_at_line(7, 2, ".mp4"));
  EXPECT_FALSE(videos[5].fault);
}

TEST_F(JobCheck, TwoVideosNeverWriteOneFile) {
  const auto videos = checked(
      "  - {name: a, prompt: a hill, output: same.mp4}\n"
      "  - {name: b, prompt: a hill, output: same.mp4}\n"
      "  - {name: c, prompt: a hill, contact_sheet: c.png}\n"
      "  - {name: d, prompt: a hill, contact_sheet: c.png}\n"
      "  - {name: e, prompt: a hill, seeds: [1, 2], output: \"e-{job}.mp4\"}\n");
  EXPECT_FALSE(videos[0].fault);
  EXPECT_THAT(videos[1].fault, fault_at_line(4, 2, "same.mp4"));
  EXPECT_THAT(videos[1].fault->message, HasSubstr("see " + videos[0].place));
  EXPECT_FALSE(videos[2].fault);
  EXPECT_THAT(videos[3].fault, fault_at_line(6, 2, "c.png"));
  EXPECT_FALSE(videos[4].fault);
  EXPECT_THAT(videos[5].fault, fault_at_line(7, 2, "{seed}"));
}

class FinishedVideo : public JobCheck {
 protected:
  BatchVideo video(const std::string& settings) const {
    return checked("  - {name: a, prompt: a hill, seed: 3" + settings + "}\n")[0];
  }
  /// Puts a complete video with this identity where `video` goes.
  static void finish(const BatchVideo& video, VideoIdentity identity) {
    std::filesystem::create_directories(video.config.output.parent_path());
    std::ofstream(video.config.output) << "a video";
    std::filesystem::path sidecar = video.config.output;
    std::ofstream(sidecar.replace_extension(".json"))
        << nlohmann::ordered_json{{"program", "flashblock 0.1.0"},
                                  {"identity", nlohmann::ordered_json::parse(identity_json(identity))},
                                  {"video", written(video.config.output)}};
  }
  static nlohmann::ordered_json written(const std::filesystem::path& video) {
    nlohmann::ordered_json json = written_video_json(video, 32);
    json["file"] = video.filename().string();
    json["frames"] = 32;
    return json;
  }
  static void set_fact(VideoIdentity& identity, const std::string& name, const std::string& value) {
    for (auto& [fact, old] : identity.facts) {
      if (fact == name) {
        old = value;
        return;
      }
    }
    FAIL() << "there is no fact " << name;
  }
};

TEST_F(FinishedVideo, IsOneThatWasMadeFromTheSameSettings) {
  const BatchVideo same = video("");
  EXPECT_FALSE(is_video_finished(same)) << "there is no file";
  finish(same, same.identity);
  EXPECT_TRUE(is_video_finished(same));
  std::filesystem::create_directory(folder_ / "videos/a.parts");
  EXPECT_FALSE(is_video_finished(same)) << "the file is not complete";
}

TEST_F(FinishedVideo, IsNotDoneIfItsFileIsNotWhole) {
  const BatchVideo same = video("");
  finish(same, same.identity);
  std::filesystem::resize_file(same.config.output, 3);
  EXPECT_FALSE(is_video_finished(same));
  const JobStatus done{.state = JobState::kDone, .frames = 32};
  BatchVideo again = video("");
  EXPECT_FALSE(again.finished);
  EXPECT_THAT(again.warnings, ElementsAre(HasSubstr("is damaged, and is rendered again: it has 3 bytes, and had 7")));
  EXPECT_EQ(current_status(again, done).state, JobState::kWaiting);
  std::filesystem::remove(same.config.output);
  EXPECT_EQ(current_status(video(""), done).state, JobState::kWaiting);
  finish(same, same.identity);
  EXPECT_EQ(current_status(video(""), {}).state, JobState::kDone) << "whatever the batch's folder says";
}

TEST_F(FinishedVideo, IsNotDoneWithoutItsOtherFiles) {
  const std::string sheet = ", contact_sheet: \"{name}.png\"";
  finish(video(sheet), video(sheet).identity);
  EXPECT_THAT(video(sheet).fault, fault_at_line(3, 2, "is complete, but " + (folder_ / "a.png").string()));
  EXPECT_FALSE(video(sheet + ", overwrite: true").fault);
  EXPECT_FALSE(video(sheet + ", overwrite: true").finished);
  std::ofstream(folder_ / "a.png") << "a sheet";
  EXPECT_TRUE(video(sheet).finished);
}

TEST_F(FinishedVideo, WhatARunWouldRefuseIsAFaultOfTheCheck) {
  finish(video(""), video("").identity);
  const auto with_other_settings = checked("  - {name: a, prompt: a hill, seed: 4}\n");
  EXPECT_THAT(with_other_settings[0].fault, fault_at_line(3, 2, "seed: 3 there, 4 here"));
  EXPECT_EQ(current_status(with_other_settings[0], {.state = JobState::kDone}).state, JobState::kFailed);
  std::ofstream(folder_ / "file") << "in the way";
  EXPECT_THAT(checked("  - {name: b, prompt: a hill, output: file/b.mp4}\n")[0].fault,
              fault_at_line(3, 5, "is not a folder"));
  std::filesystem::create_directories(folder_ / "videos/c.parts");
  std::ofstream(folder_ / "videos/c.parts/video.json") << identity_json(video("").identity);
  EXPECT_THAT(checked("  - {name: c, prompt: a lake, seed: 3}\n")[0].fault, fault_at_line(3, 2, "a lake here"));
  EXPECT_FALSE(checked("  - {name: c, prompt: a hill, seed: 3}\n")[0].fault);
}

TEST_F(JobCheck, EveryFaultOfAJobIsNamed) {
  const auto videos = checked(
      "  - name: a\n"
      "    prompt: a hill\n"
      "    sed: 1\n"
      "    size: big\n"
      "    fps: 1000\n");
  ASSERT_TRUE(videos[0].fault);
  std::vector<std::string> all = videos[0].fault->more;
  all.push_back(videos[0].fault->message);
  EXPECT_THAT(all, ::testing::UnorderedElementsAre(HasSubstr("jobs.yaml:5: jobs[0].sed"), HasSubstr("jobs.yaml:6: "),
                                                   HasSubstr("jobs.yaml:7: ")));
}

TEST_F(JobCheck, VideosDoNotShareASidecar) {
  const auto videos = checked(
      "  - {name: a, prompt: a hill, output: a.mp4}\n"
      "  - {name: b, prompt: a hill, output: a.mkv}\n");
  EXPECT_FALSE(videos[0].fault);
  EXPECT_THAT(videos[1].fault, fault_at_line(4, 2, "a.json is also a file of a"));
}

TEST_F(FinishedVideo, MayComeFromAnotherMachine) {
  const BatchVideo same = video("");
  VideoIdentity elsewhere = same.identity;
  set_fact(elsewhere, "device", "another GPU");
  set_fact(elsewhere, "threads", "96");
  finish(same, elsewhere);
  EXPECT_TRUE(is_video_finished(same));
  set_fact(elsewhere, "dtype", "bfloat16");
  finish(same, elsewhere);
  EXPECT_THROW(is_video_finished(same), ConfigError) << "the job asks for float32";
  EXPECT_TRUE(is_video_finished(video(", dtype: auto")));
}

TEST_F(FinishedVideo, OfOtherSettingsIsReplacedOnlyIfWanted) {
  const BatchVideo old = video("");
  finish(old, old.identity);
  const std::string error = testing::error_text<ConfigError>([&] { is_video_finished(video(", fps: 8")); });
  EXPECT_THAT(error, AllOf(StartsWith((folder_ / "videos/a.mp4").string()), HasSubstr("fps")));
  EXPECT_FALSE(is_video_finished(video(", fps: 8, overwrite: true")));
  EXPECT_TRUE(is_video_finished(video(", overwrite: true"))) << "the same video is not rendered again";
}

TEST_F(FinishedVideo, NeedsItsSidecar) {
  const BatchVideo same = video("");
  finish(same, same.identity);
  std::filesystem::remove(folder_ / "videos/a.json");
  EXPECT_THROW(is_video_finished(same), ConfigError);
  std::ofstream(folder_ / "videos/a.json") << "{";
  EXPECT_THROW(is_video_finished(same), ConfigError);
}

}  // namespace
}  // namespace flashblock
