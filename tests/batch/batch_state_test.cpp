// Job statuses, locks, rendering order, progress display and reports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "batch/batch_folder.h"
#include "batch/batch_report.h"
#include "batch/board.h"
#include "batch/job_check.h"
#include "core/error.h"
#include "core/html_page.h"
#include "tests/support/error_text.h"
#include "tests/support/page_data.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

BatchVideo video_named(const std::string& name, const std::string& prompt = "a red hill") {
  BatchVideo video{.name = name, .job = name, .place = "/jobs/videos.yaml:4"};
  video.config.prompt = prompt;
  video.config.output = "/jobs/videos/" + name + ".mp4";
  video.config.seed = 7;
  return video;
}

TEST(BatchFolder, KeepsStatuses) {
  const testing::TemporaryFolder folder;
  const BatchFolder batch(folder / "videos.yaml");
  batch.create();
  EXPECT_EQ(batch.read("a").state, JobState::kWaiting);
  const JobStatus written{.state = JobState::kFailed,
                          .fault = JobFault{"hang", 4, "no \"block\""},
                          .attempts = 2,
                          .block = 3,
                          .blocks = 8,
                          .frames = 33,
                          .seconds = 1.5,
                          .output = "/a.mp4",
                          .started = "2026-01-01T00:00:00Z",
                          .ended = "2026-01-01T00:00:02Z",
                          .changed_ms = 5};
  batch.write("a", written);
  const JobStatus read = batch.read("a");
  EXPECT_EQ(to_json(read), to_json(written));
  EXPECT_EQ(read.fault->message, "no \"block\"");
  std::ofstream(folder / "videos.batch/a.json") << "{";
  EXPECT_EQ(batch.read("a").state, JobState::kWaiting) << "a damaged status is ignored";
}

TEST(JobStatus, FaultsAdviseWhatABatchCanDo) {
  EXPECT_EQ(job_error_line({.message = "a.mp4 exists",
                            .remedies = {{"continue it", "resume", "true"}, {"replace it", "overwrite", "true"}}}),
            "a.mp4 exists: replace it with overwrite: true")
      << "a batch resumes by itself";
}

TEST(JobStatus, SurvivesJson) {
  for (const JobState state : {JobState::kWaiting, JobState::kRunning, JobState::kElsewhere, JobState::kDone,
                               JobState::kFailed, JobState::kInterrupted}) {
    JobStatus written{.state = state,
                      .attempts = 2,
                      .block = 3,
                      .blocks = 8,
                      .frames = 33,
                      .seconds = 1.5,
                      .output = "/a.mp4",
                      .started = "2026-01-01T00:00:00Z",
                      .ended = "2026-01-01T00:00:02Z",
                      .changed_ms = 5};
    if (state == JobState::kFailed) written.fault = JobFault{"media", 5, "a \"disk\" is full"};
    if (state == JobState::kRunning) {
      written.stage = "rendering";
      written.frames_per_second = 15.5;
      written.seconds_left = 43;
    }
    const JobStatus read = job_status_from_json(to_json(written));
    EXPECT_EQ(read.state, state);
    EXPECT_EQ(read.attempts, 2);
    EXPECT_EQ(read.block, 3);
    EXPECT_EQ(read.blocks, 8);
    EXPECT_EQ(read.frames, 33);
    EXPECT_EQ(read.seconds, 1.5);
    EXPECT_EQ(read.output, "/a.mp4");
    EXPECT_EQ(read.started, "2026-01-01T00:00:00Z");
    EXPECT_EQ(read.ended, "2026-01-01T00:00:02Z");
    EXPECT_EQ(read.changed_ms, 5);
    EXPECT_EQ(read.stage, written.stage);
    EXPECT_EQ(read.frames_per_second, written.frames_per_second);
    EXPECT_EQ(read.seconds_left, written.seconds_left);
    ASSERT_EQ(read.fault.has_value(), written.fault.has_value());
    if (read.fault) {
      EXPECT_EQ(read.fault->message, written.fault->message);
    }
  }
  EXPECT_THROW(job_status_from_json({{"state", "done"}}), nlohmann::json::exception);
}

TEST(BatchFolder, ARunningVideoWithoutALockIsInterrupted) {
  const testing::TemporaryFolder folder;
  const BatchFolder batch(folder / "videos.yaml");
  batch.create();
  batch.write("a", {.state = JobState::kRunning});
  EXPECT_EQ(batch.read("a").state, JobState::kInterrupted);
  {
    const auto lock = FileLock::take(batch.lock_file("a"));
    ASSERT_TRUE(lock);
    EXPECT_EQ(batch.read("a").state, JobState::kRunning);
    EXPECT_FALSE(FileLock::take(batch.lock_file("a"))) << "two runs never share a video";
  }
  EXPECT_EQ(batch.read("a").state, JobState::kInterrupted);
  EXPECT_TRUE(FileLock::take(batch.lock_file("a")));
}

TEST(BatchOrder, VideosOfAModelStayTogether) {
  std::vector<BatchVideo> videos(5);
  const char* keys[] = {"b", "a", "b", "", "a"};
  for (size_t i = 0; i < videos.size(); ++i) videos[i].model_key = keys[i];
  EXPECT_THAT(render_order(videos), ElementsAre(0u, 2u, 1u, 4u, 3u));
}

TEST(BatchBoard, ALineFitsTheWidth) {
  const BatchVideo video = video_named("größe");
  JobStatus record{.state = JobState::kRunning,
                   .block = 3,
                   .blocks = 8,
                   .frames_per_second = 15.94,
                   .seconds_left = 43,
                   .stage = "rendering"};
  EXPECT_EQ(board_line(video, record, 7, 0), "größe    running      block 3/8  15.9 fps  0:43 left");
  EXPECT_EQ(board_line(video, record, 4, 0).substr(0, 9), "größ  r") << "cut between characters";
  EXPECT_EQ(board_line(video, record, 7, 12), "größe    run");
  record.block = 0;
  record.stage = "loading the model";
  EXPECT_THAT(board_line(video, record, 7, 0), HasSubstr("loading the model"));
}

TEST(BatchBoard, ShowsEveryState) {
  const std::vector<BatchVideo> videos(6, video_named("a"));
  const std::vector<JobStatus> records = {{.state = JobState::kDone, .frames = 33, .seconds = 4},
                                          {.state = JobState::kFailed, .fault = JobFault{"hang", 4, "it hangs"}},
                                          {.state = JobState::kWaiting},
                                          {.state = JobState::kInterrupted, .block = 1, .blocks = 2},
                                          {.state = JobState::kElsewhere, .stage = "rendering"},
                                          {.state = JobState::kWaiting, .fault = JobFault{"crash", 1, "it broke"}}};
  const std::string table = board_table(videos, records, {0, 1, 2, 3, 4, 5});
  for (const char* text : {"33 frames in 0:04", "it hangs", "at block 1/2", "in another run", "retry after: it broke",
                           "1 of 6 videos done, 1 failed, 1 running, 1 interrupted, 2 waiting"}) {
    EXPECT_THAT(table, HasSubstr(text));
  }
}

class BatchReport : public ::testing::Test {
 protected:
  BatchAccount account() const { return {"/jobs/videos.yaml", "/jobs/report.json", videos_, records_, folder_}; }

  testing::TemporaryFolder temporary_;
  BatchFolder folder_{temporary_ / "videos.yaml"};
  std::vector<BatchVideo> videos_;
  std::vector<JobStatus> records_;
};

TEST_F(BatchReport, JsonNamesFileAndLineOfAFault) {
  videos_ = {video_named("good"), video_named("bad")};
  records_ = {{.state = JobState::kDone},
              {.state = JobState::kFailed, .fault = JobFault{"configuration", 2, "/jobs/videos.yaml:9: seed: no"}}};
  nlohmann::ordered_json json = report_json(account());
  EXPECT_EQ(json.at("counts").at("done"), 1);
  EXPECT_EQ(json.at("counts").at("failed"), 1);
  EXPECT_TRUE(json.at("videos")[0].at("error").is_null());
  EXPECT_EQ(json.at("videos")[0].at("seed"), 7);
  EXPECT_EQ(json.at("videos")[1].at("error").at("file"), "/jobs/videos.yaml");
  EXPECT_EQ(json.at("videos")[1].at("error").at("line"), 9);
  records_[1].fault->message = "elsewhere:3: something";
  json = report_json(account());
  EXPECT_EQ(json.at("videos")[1].at("error").at("line"), 4) << "the job's own line";
}

TEST_F(BatchReport, PageHoldsWhatUsersWroteAsDataOnly) {
  videos_ = {video_named("a", "<script>alert('x')</script> & \"more\"")};
  videos_[0].name = "<b>";
  videos_[0].config.output = "/jobs/a \"b\"#?.mp4";
  videos_[0].config.timeline = {{2, "<i>"}};
  videos_[0].warnings = {"does not know '<s>'"};
  records_ = {{.state = JobState::kDone, .frames = 32}};
  const std::string page = html_page(batch_page(), report_page_json(account()));
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  const nlohmann::json video = testing::page_data(page).at("videos")[0];
  EXPECT_EQ(video.at("name"), "<b>");
  EXPECT_EQ(video.at("prompt"), videos_[0].config.prompt);
  EXPECT_EQ(video.at("timeline")[0].at("prompt"), "<i>");
  EXPECT_EQ(video.at("warnings")[0], "does not know '<s>'");
  videos_[0].config.metadata = false;
  EXPECT_TRUE(report_json(account()).at("videos")[0].at("warnings").empty()) << "they quote the wish";
  EXPECT_EQ(video.at("file"), "a \"b\"#?.mp4") << "from the report's folder";
  EXPECT_FALSE(video.contains("preview")) << "there is none";
  records_[0] = {.state = JobState::kFailed, .fault = JobFault{"media", 5, "<u>"}};
  EXPECT_FALSE(report_page_json(account()).at("videos")[0].contains("file")) << "there is no video to link to";
}

TEST_F(BatchReport, PreviewsAreInThePageUntilItIsLarge) {
  folder_.create();
  videos_ = {video_named("a"), video_named("b"), video_named("c")};
  records_ = {{.state = JobState::kDone}, {.state = JobState::kDone}, {.state = JobState::kWaiting}};
  for (const BatchVideo& video : videos_) std::ofstream(folder_.preview_file(video.name)) << "foobar";
  const BatchAccount here{temporary_ / "videos.yaml", temporary_ / "report.json", videos_, records_, folder_};
  nlohmann::ordered_json json = report_page_json(here, 12);
  EXPECT_EQ(json.at("videos")[0].at("preview"), "data:image/jpeg;base64,Zm9vYmFy");
  EXPECT_EQ(json.at("videos")[1].at("preview"), "data:image/jpeg;base64,Zm9vYmFy");
  EXPECT_FALSE(json.at("videos")[2].contains("preview"));
  json = report_page_json(here, 11);
  EXPECT_EQ(json.at("videos")[0].at("preview"), "data:image/jpeg;base64,Zm9vYmFy");
  EXPECT_EQ(json.at("videos")[1].at("preview"), "videos.batch/b.jpg");
}

TEST_F(BatchReport, LeavesPromptsOutWithoutMetadata) {
  videos_ = {video_named("a", "a secret")};
  videos_[0].config.metadata = false;
  records_ = {{.state = JobState::kDone, .frames = 32}};
  EXPECT_THAT(report_page_json(account()).dump(), Not(HasSubstr("a secret")));
  EXPECT_THAT(report_json(account()).dump(), Not(HasSubstr("a secret")));
}

TEST_F(BatchReport, AnotherReportIsNotReplaced) {
  folder_.create();
  videos_ = {video_named("a")};
  const auto make = [&](const std::string& jobs) {
    std::ofstream(temporary_ / jobs) << "jobs";
    return Reporter(temporary_ / jobs, temporary_ / "r.json", videos_, folder_);
  };
  make("one.yaml").write();
  EXPECT_TRUE(std::filesystem::exists(temporary_ / "r.html"));
  EXPECT_NO_THROW(make("one.yaml"));
  EXPECT_THAT(testing::error_text<ConfigError>([&] { make("two.yaml"); }), HasSubstr("is not the report of"));
  std::filesystem::remove(temporary_ / "one.yaml");
  EXPECT_NO_THROW(make("two.yaml")) << "nobody's any more";
  std::ofstream(temporary_ / "r.html") << "my page";
  EXPECT_THROW(make("two.yaml"), ConfigError) << "a page of the user's own";
  std::ofstream(temporary_ / "r.json") << R"({"jobs_file": "gone.yaml"})";
  EXPECT_THROW(make("two.yaml"), ConfigError) << "not a report";
  EXPECT_THROW(Reporter(temporary_ / "two.yaml", temporary_ / "no/folder/r.json", videos_, folder_), MediaError);
}

TEST_F(BatchReport, JobsFilesOfOneFolderHaveTheirOwn) {
  const auto write = [&](const std::filesystem::path& jobs) {
    std::ofstream(jobs) << "jobs";
    const BatchFolder folder(jobs);
    folder.create();
    Reporter reporter(jobs, "", videos_, folder);
    reporter.write();
    return reporter.page().filename().string();
  };
  EXPECT_EQ(write(temporary_ / "monday.yaml"), "report.html");
  EXPECT_EQ(write(temporary_ / "tuesday.yaml"), "tuesday.report.html");
  EXPECT_EQ(write(temporary_ / "tuesday.yml"), "tuesday.yml.report.html");
  EXPECT_EQ(write(temporary_ / "monday.yaml"), "report.html");
  EXPECT_TRUE(std::filesystem::is_directory(temporary_ / "tuesday.yml.batch"));
  // A folder that was moved or copied, with its reports.
  const testing::TemporaryFolder elsewhere;
  std::filesystem::copy(temporary_.path(), elsewhere / "copy", std::filesystem::copy_options::recursive);
  EXPECT_EQ(write(elsewhere / "copy/monday.yaml"), "report.html");
  // A jobs file that was renamed takes its report over.
  std::filesystem::rename(temporary_ / "monday.yaml", temporary_ / "friday.yaml");
  EXPECT_EQ(write(temporary_ / "friday.yaml"), "report.html");
  std::ofstream(temporary_ / "report.html") << "my page";
  EXPECT_EQ(write(temporary_ / "friday.yaml"), "friday.report.html");
}

TEST(BatchFolder, CannotBeAFile) {
  const testing::TemporaryFolder folder;
  EXPECT_NO_THROW(BatchFolder(folder / "videos.yaml").check());
  std::ofstream(folder / "videos.batch") << "a file";
  EXPECT_THROW(BatchFolder(folder / "videos.yaml").check(), MediaError);
}

}  // namespace
}  // namespace flashblock
