// The supervisor, with workers that follow a script.
#include "batch/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/batch/fake_workers.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using ::testing::AllOf;
using testing::block_at;
using testing::done_at;
using ::testing::ElementsAre;
using testing::exit_at;
using testing::failed_at;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using testing::Script;
using testing::stopped_at;

class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest() { folder_.create(); }

  void add(const std::string& name, const std::string& model_key = "", const std::string& device = "auto") {
    BatchVideo video;
    video.name = video.job = name;
    video.place = "/jobs/videos.yaml:4";
    video.model_key = model_key;
    video.blocks = 2;
    video.config.output = temporary_ / ("out/" + name + ".mp4");
    video.config.device = device;
    videos_.push_back(std::move(video));
  }
  /// Renders all videos, in the order in which they were added.
  void run() {
    std::vector<size_t> order(videos_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    Supervisor supervisor(videos_, order, folder_, options_, host_);
    supervisor.on_state = [&](size_t video) { on_state_(supervisor.statuses()[video], videos_[video].name); };
    supervisor.on_unsaved = [&](const std::string& problem) { problems_.push_back(problem); };
    supervisor.run(stop_.get_token());
    statuses_ = supervisor.statuses();
  }
  const JobStatus& status(const std::string& name) const {
    for (size_t i = 0; i < videos_.size(); ++i) {
      if (videos_[i].name == name) return statuses_[i];
    }
    throw std::out_of_range(name);
  }
  JobState state(const std::string& name) const { return status(name).state; }
  /// The video's first attempt goes by `script`, everything else by the default.
  void script_first_attempt(const std::string& name, const Script& script) {
    host_.script = [name, script, others = host_.script](const WorkerJob& job) {
      return job.name == name && job.attempt == 1 ? script : others(job);
    };
  }
  void script_every_attempt(const std::string& name, const Script& script) {
    host_.script = [name, script, others = host_.script](const WorkerJob& job) {
      return job.name == name ? script : others(job);
    };
  }

  testing::TemporaryFolder temporary_;
  BatchFolder folder_{temporary_ / "videos.yaml"};
  std::vector<BatchVideo> videos_;
  SupervisorOptions options_;
  testing::FakeHost host_;
  std::stop_source stop_;
  std::function<void(const JobStatus&, const std::string& name)> on_state_ = [](const JobStatus&, const std::string&) {
  };
  std::vector<std::string> problems_;
  std::vector<JobStatus> statuses_;
};

TEST_F(SupervisorTest, OneWorkerRendersModelByModel) {
  add("a", "one"), add("b", "two"), add("c", "one"), add("d", "two");
  run();
  EXPECT_THAT(host_.jobs_of(0), ElementsAre("a", "c", "b", "d"));
  for (const JobStatus& each : statuses_) EXPECT_EQ(each.state, JobState::kDone);
  EXPECT_EQ(status("d").frames, 18);
  EXPECT_EQ(status("d").block, 2);
  EXPECT_EQ(status("d").attempts, 1);
  EXPECT_NEAR(status("d").seconds, 1, 0.3);
  EXPECT_EQ(to_json(folder_.read("d")), to_json(status("d"))) << "the status on disk is the one in memory";
}

TEST_F(SupervisorTest, TwoWorkersDivideTheModels) {
  options_.workers = 2;
  add("a", "one"), add("b", "one"), add("c", "two"), add("d", "two");
  run();
  EXPECT_THAT(host_.jobs_of(0), ElementsAre("a", "b"));
  EXPECT_THAT(host_.jobs_of(1), ElementsAre("c", "d"));
}

TEST_F(SupervisorTest, AWorkerTakesAnotherModelRatherThanIdle) {
  options_.workers = 2;
  add("a", "one"), add("b", "one"), add("c", "one");
  run();
  EXPECT_THAT(host_.jobs_of(0), ElementsAre("a", "c"));
  EXPECT_THAT(host_.jobs_of(1), ElementsAre("b"));
}

TEST_F(SupervisorTest, WorkersOnTheCpuShareItsCores) {
  options_.workers = 2;
  add("a"), add("b");
  run();
  ASSERT_EQ(host_.jobs.size(), 2U);
  for (const auto& received : host_.jobs) {
    EXPECT_EQ(received.share.gpu, -1);
    EXPECT_EQ(received.share.threads, std::max(1U, std::thread::hardware_concurrency() / 2));
  }
}

TEST_F(SupervisorTest, EachGpuHasAWorker) {
  host_.gpu_count = 2;
  add("any"), add("second", "", "cuda:1"), add("cpu", "", "cpu"), add("first", "", "cuda:0"), add("last", "", "cuda:1");
  run();
  for (const auto& received : host_.jobs) {
    const std::string& name = received.job.name;
    if (name == "first" || name == "cpu") {
      EXPECT_EQ(received.share.gpu, 0) << name;
    }
    if (name == "second" || name == "last") {
      EXPECT_EQ(received.share.gpu, 1) << name;
    }
    EXPECT_EQ(received.job.config.device, name == "any" ? "auto" : name == "cpu" ? "cpu" : "cuda") << name;
    EXPECT_EQ(received.share.threads, 0);
  }
  EXPECT_EQ(host_.jobs.size(), 5U);
  EXPECT_EQ(host_.jobs_of(2).size(), 0U) << "two workers only";
}

TEST_F(SupervisorTest, AWorkerHasTheGpusOfOneVideo) {
  host_.gpu_count = 5;
  for (const char* name : {"a", "b", "c"}) add(name);
  videos_.front().config.devices_per_video = 2;
  run();
  for (const auto& received : host_.jobs) {
    EXPECT_EQ(received.share.gpu, 2 * received.worker);
    EXPECT_EQ(received.share.gpus, 2);
  }
  EXPECT_THAT(host_.jobs_of(0), ElementsAre("a", "c"));
  EXPECT_THAT(host_.jobs_of(1), ElementsAre("b"));
}

TEST_F(SupervisorTest, VideosOnTheCpuNeedNoGpuWorkers) {
  host_.gpu_count = 2;
  add("a", "", "cpu"), add("b", "", "cpu");
  run();
  EXPECT_THAT(host_.jobs_of(0), ElementsAre("a", "b"));
  EXPECT_EQ(host_.jobs[0].share.gpu, -1);
}

TEST_F(SupervisorTest, AVideoThatNoWorkerCanRenderFails) {
  host_.gpu_count = 2;
  options_.workers = 1;
  add("a"), add("b", "", "cuda:1"), add("c");
  run();
  EXPECT_THAT(host_.all_jobs(), ElementsAre("a", "c"));
  ASSERT_EQ(state("b"), JobState::kFailed);
  EXPECT_EQ(status("b").fault->status, static_cast<int>(ExitStatus::kDevice));
  EXPECT_THAT(status("b").fault->message, HasSubstr("/jobs/videos.yaml:4: found device cuda:1"));
  EXPECT_EQ(folder_.read("b").state, JobState::kFailed);
}

TEST_F(SupervisorTest, ACrashIsRetriedInANewWorkerAfterTheOthers) {
  add("a"), add("b"), add("c");
  script_first_attempt("a", {block_at(0.4, 1), exit_at(0.6, -SIGSEGV, "torch: bad address")});
  std::string message_while_waiting;
  on_state_ = [&](const JobStatus& status, const std::string& name) {
    if (name == "a" && status.state == JobState::kWaiting) message_while_waiting = status.fault->message;
  };
  run();
  EXPECT_THAT(host_.jobs_of(0), ElementsAre("a"));
  EXPECT_THAT(host_.jobs_of(1), ElementsAre("b", "c", "a/2"));
  EXPECT_EQ(state("a"), JobState::kDone);
  EXPECT_EQ(status("a").attempts, 2);
  EXPECT_FALSE(status("a").fault);
  EXPECT_NEAR(status("a").seconds, 1.6, 0.5) << "both attempts";
  EXPECT_THAT(message_while_waiting, HasSubstr("signal 11"));
  EXPECT_THAT(message_while_waiting, HasSubstr("at frame block 1 of 2 (rendering): torch: bad address"));
}

TEST_F(SupervisorTest, RetriesHaveALimit) {
  options_.retries = 2;
  add("a");
  script_every_attempt("a", {exit_at(0.2, 7)});
  run();
  EXPECT_THAT(host_.all_jobs(), ElementsAre("a", "a/2", "a/3"));
  ASSERT_EQ(state("a"), JobState::kFailed);
  EXPECT_EQ(status("a").fault->kind, "crash");
  EXPECT_EQ(status("a").fault->status, static_cast<int>(ExitStatus::kInternal));
  EXPECT_THAT(status("a").fault->message, HasSubstr("status 7"));
}

TEST_F(SupervisorTest, AFailureOfAnEarlierRunIsTriedAgainWithAllRetries) {
  options_.retries = 0;
  add("a");
  script_every_attempt("a", {exit_at(0.2, 7)});
  run();
  ASSERT_EQ(state("a"), JobState::kFailed);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the runs start in different milliseconds
  script_every_attempt("a", {done_at(0.2)});
  run();
  EXPECT_EQ(state("a"), JobState::kDone);
  EXPECT_EQ(status("a").attempts, 1);
}

TEST_F(SupervisorTest, ALackOfMemoryIsRetriedInANewWorker) {
  add("a"), add("b");
  script_first_attempt("a", {failed_at(0.4, ExitStatus::kDevice, "out of memory")});
  run();
  EXPECT_THAT(host_.jobs_of(0), ElementsAre("a"));
  EXPECT_THAT(host_.jobs_of(1), ElementsAre("b", "a/2"));
  EXPECT_EQ(state("a"), JobState::kDone);
}

TEST_F(SupervisorTest, AProcessKilledByTheSystemCountsAsALackOfMemory) {
  options_.retries = 0;
  add("a");
  script_every_attempt("a", {exit_at(0.2, -SIGKILL)});
  run();
  EXPECT_EQ(status("a").fault->status, static_cast<int>(ExitStatus::kDevice));
  EXPECT_THAT(status("a").fault->message, HasSubstr("memory"));
}

TEST_F(SupervisorTest, AWrongVideoIsNotRetriedAndTheWorkerStays) {
  add("a"), add("b");
  script_every_attempt("a", {failed_at(0.4, ExitStatus::kConfig, "/jobs/videos.yaml:9: no such image")});
  run();
  EXPECT_THAT(host_.jobs_of(0), ElementsAre("a", "b"));
  ASSERT_EQ(state("a"), JobState::kFailed);
  EXPECT_EQ(status("a").fault->kind, "configuration");
  EXPECT_EQ(status("a").fault->message, "/jobs/videos.yaml:9: no such image");
  EXPECT_EQ(state("b"), JobState::kDone);
}

TEST_F(SupervisorTest, AHangIsKilledAfterBlockSeconds) {
  options_.block_seconds = 6;
  options_.retries = 0;
  add("a"), add("b");
  script_every_attempt("a", {block_at(5, 1)});
  run();
  EXPECT_THAT(host_.kills, ElementsAre(AllOf(Ge(11), Le(11.5)))) << "6 s after the last frame block";
  ASSERT_EQ(state("a"), JobState::kFailed);
  EXPECT_EQ(status("a").fault->kind, "hang");
  EXPECT_EQ(status("a").fault->status, static_cast<int>(ExitStatus::kDevice));
  EXPECT_THAT(status("a").fault->message, HasSubstr("no frame block in 6 s, at frame block 1 of 2"));
  EXPECT_EQ(state("b"), JobState::kDone);
}

TEST_F(SupervisorTest, AHangIsRetried) {
  options_.block_seconds = 6;
  add("a");
  script_first_attempt("a", {block_at(5, 1)});
  run();
  EXPECT_EQ(state("a"), JobState::kDone);
  EXPECT_EQ(status("a").attempts, 2);
}

TEST_F(SupervisorTest, ASlowVideoDoesNotHang) {
  options_.block_seconds = 6;
  add("a");
  script_every_attempt("a", {block_at(5, 1), block_at(10, 2), done_at(15)});
  run();
  EXPECT_THAT(host_.kills, IsEmpty());
  EXPECT_EQ(state("a"), JobState::kDone);
}

TEST_F(SupervisorTest, AStopKeepsFinishedBlocks) {
  options_.workers = 2;
  add("a"), add("b"), add("c");
  script_every_attempt("a", {block_at(1, 1), done_at(60)});
  script_every_attempt("b", {block_at(1, 1), done_at(60)});
  host_.stop_script = {block_at(0.4, 2), stopped_at(0.6), exit_at(0.8, 0)};
  host_.on_wait = [&](double seconds) {
    if (seconds > 2) stop_.request_stop();
  };
  run();
  EXPECT_LT(host_.seconds(), 4);
  EXPECT_THAT(host_.kills, IsEmpty());
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(state(name), JobState::kInterrupted);
    EXPECT_EQ(folder_.read(name).block, 2) << "the block that was written after the request to stop";
  }
  EXPECT_EQ(state("c"), JobState::kWaiting);
}

TEST_F(SupervisorTest, AVideoThatEndsDuringAStopIsDone) {
  add("a");
  script_every_attempt("a", {block_at(1, 1), done_at(60)});
  host_.stop_script = {done_at(0.4), exit_at(0.4, 0)};
  host_.on_wait = [&](double seconds) {
    if (seconds > 2) stop_.request_stop();
  };
  run();
  EXPECT_EQ(state("a"), JobState::kDone);
}

TEST_F(SupervisorTest, AWorkerThatDoesNotStopIsKilledWithinTheDeadline) {
  add("a");
  script_every_attempt("a", {block_at(1, 1), done_at(60)});
  double stopped = 0;
  host_.on_wait = [&](double seconds) {
    if (seconds <= 2 || stop_.stop_requested()) return;
    stop_.request_stop();
    stopped = seconds;
  };
  run();
  EXPECT_THAT(host_.kills, ElementsAre(AllOf(Ge(stopped + 3), Le(stopped + 4))));
  EXPECT_LT(host_.seconds() - stopped, 5);
  EXPECT_EQ(state("a"), JobState::kInterrupted);
  EXPECT_FALSE(status("a").fault);
  EXPECT_EQ(status("a").block, 1);
}

TEST_F(SupervisorTest, NothingStartsAfterAStop) {
  add("a");
  stop_.request_stop();
  run();
  EXPECT_THAT(host_.jobs, IsEmpty());
  EXPECT_EQ(state("a"), JobState::kWaiting);
}

/// Another run has video a.
class AnotherRun : public SupervisorTest {
 protected:
  AnotherRun() {
    add("a"), add("b");
    lock_ = FileLock::take(folder_.lock_file("a"));
    folder_.write("a", {.state = JobState::kRunning, .block = 1, .blocks = 2});
    on_state_ = [&](const JobStatus& status, const std::string& name) {
      if (name == "a") states_.push_back(status.state);
    };
  }
  /// Lets the other run end five seconds after the start.
  void end_with(const std::function<void()>& last_act) {
    host_.on_wait = [this, last_act](double seconds) {
      if (seconds < 5 || !lock_) return;
      last_act();
      lock_.reset();
    };
  }

  std::optional<FileLock> lock_;
  std::vector<JobState> states_;
};

TEST_F(AnotherRun, IsWaitedForAndItsVideoIsTakenOver) {
  end_with([] {});
  run();
  EXPECT_THAT(host_.all_jobs(), ElementsAre("b", "a"));
  EXPECT_THAT(host_.jobs.back().seconds, AllOf(Ge(5), Le(7)));
  EXPECT_THAT(states_, ElementsAre(JobState::kElsewhere, JobState::kRunning, JobState::kDone));
}

TEST_F(AnotherRun, ItsFailureIsNotRepeated) {
  end_with([&] {
    folder_.write(
        "a", {.state = JobState::kFailed, .fault = JobFault{"hang", 4, "it hangs"}, .changed_ms = now_ms() + 1000});
  });
  run();
  EXPECT_THAT(host_.all_jobs(), ElementsAre("b"));
  ASSERT_EQ(state("a"), JobState::kFailed);
  EXPECT_EQ(status("a").fault->message, "it hangs");
}

TEST_F(AnotherRun, IsNotWaitedForAfterAStop) {
  host_.on_wait = [&](double seconds) {
    if (seconds > 20) stop_.request_stop();
  };
  run();
  EXPECT_THAT(host_.all_jobs(), ElementsAre("b"));
  EXPECT_EQ(state("a"), JobState::kElsewhere);
  EXPECT_LT(host_.seconds(), 21);
}

TEST_F(SupervisorTest, AStatusThatCannotBeWrittenStopsNothing) {
  add("a"), add("b");
  const auto file = temporary_ / "videos.batch/a.json";
  std::filesystem::create_directory(file);
  on_state_ = [&](const JobStatus& status, const std::string& name) {
    if (name == "a" && status.state == JobState::kDone) std::filesystem::remove(file);
  };
  run();
  EXPECT_EQ(state("a"), JobState::kDone);
  EXPECT_EQ(state("b"), JobState::kDone);
  ASSERT_FALSE(problems_.empty());
  EXPECT_THAT(problems_[0], HasSubstr("a.json"));
  EXPECT_EQ(folder_.read("a").state, JobState::kDone) << "written at the end, when it can be";
}

TEST_F(SupervisorTest, AWorkerThatCannotBeStartedEndsTheRun) {
  add("a");
  host_.can_start = false;
  EXPECT_THAT(testing::error_text<DeviceError>([&] { run(); }), HasSubstr("cannot start a worker"));
  EXPECT_TRUE(FileLock::take(folder_.lock_file("a"))) << "the lock is released";
  EXPECT_EQ(folder_.read("a").state, JobState::kWaiting);
}

TEST_F(SupervisorTest, ADifferentVideoInThePlaceIsKept) {
  add("a"), add("b");
  std::filesystem::create_directories(temporary_ / "out");
  for (const char* name : {"a", "b"}) std::ofstream(temporary_ / "out" / (std::string(name) + ".mp4")) << "a video";
  videos_[1].config.overwrite = true;
  run();
  EXPECT_THAT(host_.all_jobs(), ElementsAre("b"));
  ASSERT_EQ(state("a"), JobState::kFailed);
  EXPECT_EQ(status("a").fault->status, static_cast<int>(ExitStatus::kConfig));
}

}  // namespace
}  // namespace flashblock
