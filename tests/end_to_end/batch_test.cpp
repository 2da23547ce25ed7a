// `flashblock batch` as a program: videos, faults, interruptions, two runs at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "media/video_reader.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/page_data.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

/// While it lives, StartedProgram starts a program whose workers fail as `faults` says: see faulty_program.cpp.
class Faults {
 public:
  explicit Faults(const std::string& faults) {
    if (const char* program = std::getenv("FLASHBLOCK_PROGRAM")) shipped_ = program;
    const auto tests = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    setenv("FLASHBLOCK_PROGRAM", (tests / "faulty_program").c_str(), 1);
    setenv("FLASHBLOCK_TEST_FAULT", faults.c_str(), 1);
  }
  ~Faults() {
    unsetenv("FLASHBLOCK_TEST_FAULT");
    shipped_ ? setenv("FLASHBLOCK_PROGRAM", shipped_->c_str(), 1) : unsetenv("FLASHBLOCK_PROGRAM");
  }
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

 private:
  std::optional<std::string> shipped_;
};

class Batch : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TemporaryFolder;
    write_prompted_model(*shared_ / "model");
  }
  static void TearDownTestSuite() { delete shared_; }

  /// A jobs file with these jobs; its videos have two frame blocks.
  void write_jobs(const std::string& jobs) const {
    std::ofstream(jobs_file()) << "defaults: {model: " << (*shared_ / "model").string()
                               << ", frames: 18, device: cpu, dtype: float32, output: \"out/{name}.mp4\"}\njobs:\n"
                               << jobs;
  }
  std::filesystem::path jobs_file() const { return folder_ / "jobs.yaml"; }
  std::filesystem::path video(const std::string& name) const { return folder_ / ("out/" + name + ".mp4"); }
  nlohmann::json report() const { return read_json(folder_ / "report.json"); }
  nlohmann::json reported(const std::string& name) const {
    const nlohmann::json whole = report();
    for (const auto& video : whole.at("videos")) {
      if (video.at("name") == name) return video;
    }
    ADD_FAILURE() << "no video " << name << " in the report";
    return {};
  }

  Words command(const Words& more = {}) const {
    Words words = {"batch", jobs_file(), "--progress", "lines"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::filesystem::path said_file(const std::string& run = "said") const { return folder_ / run; }
  std::string said(const std::string& run = "said") const { return read_text(said_file(run)); }
  int run(const Words& more = {}) const { return StartedProgram(command(more), said_file()).wait(); }

  /// Waits until a video has a frame block on disk.
  bool wait_for_a_segment(const std::string& name) const {
    for (int i = 0; i < 1200; ++i) {
      if (std::filesystem::exists(folder_ / ("out/" + name + ".parts/000000.m4s"))) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }
  at::Tensor plain_video(const std::string& prompt, const std::string& seed) const {
    const ProgramRun plain =
        run_program({"render", prompt, "--model", *shared_ / "model", "--frames", "18", "--device", "cpu", "--dtype",
                     "float32", "--seed", seed, "-o", folder_ / "plain.mp4", "--overwrite"});
    EXPECT_EQ(plain.status, 0) << plain.err;
    return read_video(folder_ / "plain.mp4");
  }
  static int64_t count(const std::string& text, const std::string& word) {
    int64_t found = 0;
    for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++found;
    return found;
  }

  static TemporaryFolder* shared_;
  TemporaryFolder folder_;
};

TemporaryFolder* Batch::shared_ = nullptr;

constexpr const char* kFifteenGood =
    "  - {name: hill, prompt: a red hill, seeds: [1, 2, 3, 4, 5]}\n"
    "  - {name: lake, prompt: a blue lake, seed: 9, timeline: [{at: 0.8, prompt: night}]}\n"
    "  - {name: walk, prompts: walk.csv}\n"
    "  - {name: list, prompts: list.txt, output: \"out/{job}/{row}.mp4\"}\n";

TEST_F(Batch, FaultsStayWhereTheyAre) {
  std::ofstream(folder_ / "walk.csv") << "name,prompt,seed\nslow,\"a lake, slowly\",1\nfast,a lake <b>fast</b>,2\n";
  std::ofstream(folder_ / "list.txt") << "one\ntwo\nthree\nfour\nfive\nsix\nseven\n";
  const std::string good = kFifteenGood;
  write_jobs(good +
             "  - {name: typo, prompt: a hill, sed: 3}\n"
             "  - {name: missing, prompt: a hill, model: no/such/model}\n"
             "  - {name: late, prompt: a hill, timeline: [{at: 99, prompt: night}]}\n"
             "  - {name: crash, prompt: a hill}\n"
             "  - {name: hang, prompt: a hill}\n");
  {
    const Faults faults("crash:crash,hang:hang");
    EXPECT_EQ(run({"--retries", "0", "--block-timeout", "6"}), 4) << said() << "a hang decides: it may pass";
  }
  EXPECT_EQ(report().at("counts").at("done"), 15) << said();
  EXPECT_EQ(report().at("counts").at("failed"), 5);
  const auto error = [&](const std::string& name) { return reported(name).at("error"); };
  EXPECT_EQ(error("typo").at("line"), 7);
  EXPECT_EQ(error("typo").at("status"), 2);
  EXPECT_THAT(error("typo").at("message").get<std::string>(), HasSubstr("did you mean seed?"));
  EXPECT_EQ(error("missing").at("line"), 8);
  EXPECT_EQ(error("missing").at("status"), 3);
  EXPECT_EQ(error("late").at("line"), 9);
  EXPECT_EQ(error("crash").at("kind"), "crash");
  EXPECT_THAT(error("crash").at("message").get<std::string>(), HasSubstr("signal 11"));
  EXPECT_EQ(error("hang").at("kind"), "hang");
  EXPECT_THAT(error("hang").at("message").get<std::string>(), HasSubstr("at frame block 1 of 2"));
  EXPECT_EQ(read_video(video("list/7")).size(0), 18);
  EXPECT_TENSORS_IDENTICAL(read_video(video("hill-3")), plain_video("a red hill", "3"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out/hill-3.parts"));
  EXPECT_FALSE(std::filesystem::exists(video("crash")));
  const std::string page = read_text(folder_ / "report.html");
  EXPECT_THAT(page, Not(HasSubstr("<b>fast")));
  EXPECT_EQ(count(page, "\"preview\":\"data:image/jpeg;base64,"), 15);
  const nlohmann::json data = page_data(page);
  EXPECT_EQ(data.at("counts"), report().at("counts"));
  EXPECT_EQ(data.at("videos").size(), 20u);
  const ProgramRun status = run_program({"batch", jobs_file(), "--status"});
  EXPECT_EQ(status.status, 4);
  EXPECT_THAT(status.out, HasSubstr("15 of 20 videos done, 5 failed"));

  // Mended, only these five are rendered.
  const auto before = std::filesystem::last_write_time(video("hill-3"));
  write_jobs(good +
             "  - {name: typo, prompt: a hill, seed: 3}\n"
             "  - {name: missing, prompt: a hill}\n"
             "  - {name: late, prompt: a hill, timeline: [{at: 0.8, prompt: night}]}\n"
             "  - {name: crash, prompt: a hill}\n"
             "  - {name: hang, prompt: a hill}\n");
  EXPECT_EQ(run(), 0) << said();
  EXPECT_EQ(count(said(), " running "), 5) << said();
  EXPECT_EQ(report().at("counts").at("done"), 20);
  EXPECT_EQ(std::filesystem::last_write_time(video("hill-3")), before);
  EXPECT_EQ(run_program({"batch", jobs_file(), "--status"}).status, 0);
}

TEST_F(Batch, WhatPassesIsTriedAgain) {
  write_jobs("  - {name: a, prompt: a hill}\n  - {name: b, prompt: a lake}\n");
  const Faults faults("memory:a:1,crash:b:1");
  EXPECT_EQ(run({"--retries", "1"}), 0) << said();
  EXPECT_EQ(reported("a").at("attempts"), 2);
  EXPECT_EQ(reported("b").at("attempts"), 2);
  EXPECT_THAT(said(), HasSubstr("out of memory"));
}

TEST_F(Batch, ChecksTheFileWithoutRendering) {
  write_jobs("  - {name: a, prompt: a hill}\n  - {name: b, prompt: a lake, size: 47x31}\n");
  const ProgramRun check = run_program({"batch", jobs_file(), "--dry-run"});
  EXPECT_EQ(check.status, 2);
  EXPECT_EQ(check.out, "a\t" + video("a").string() + "\n");
  EXPECT_THAT(check.err, HasSubstr("jobs.yaml:4: "));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "jobs.batch"));
}

TEST_F(Batch, AVideoThatIsNotWholeIsNotDone) {
  write_jobs("  - {name: a, prompt: a hill, seed: 1}\n");
  ASSERT_EQ(run(), 0) << said();
  const std::string whole = read_text(video("a"));
  const auto status = [&] { return run_program({"batch", jobs_file(), "--status"}).status; };
  const Words resume = {"render", "--resume", "-o", video("a")};
  for (const uintmax_t bytes : {uintmax_t{5000}, uintmax_t{0}}) {
    std::filesystem::resize_file(video("a"), bytes);
    EXPECT_EQ(status(), 6) << bytes;
    EXPECT_EQ(run(), 0) << said();
    EXPECT_THAT(said(), HasSubstr("is damaged, and is rendered again: it has " + std::to_string(bytes) + " bytes"));
    EXPECT_EQ(read_text(video("a")), whole);
    EXPECT_EQ(status(), 0);
    std::filesystem::resize_file(video("a"), bytes);
    const ProgramRun again = run_program(resume);
    EXPECT_EQ(again.status, 0) << again.err;
    EXPECT_EQ(read_text(video("a")), whole);
  }
  EXPECT_THAT(run_program(resume).out, HasSubstr("is complete: nothing to do"));
  std::filesystem::remove(video("a"));
  EXPECT_EQ(status(), 6);
  EXPECT_EQ(run(), 0) << said();
  // Another video in its place may be somebody's work.
  const auto sidecar = std::filesystem::path(video("a")).replace_extension(".json");
  const std::string note = read_text(sidecar);
  ASSERT_GT(plain_video("a lake", "2").size(0), 0);
  std::filesystem::copy_file(folder_ / "plain.mp4", video("a"), std::filesystem::copy_options::overwrite_existing);
  const std::string other = read_text(video("a"));
  EXPECT_EQ(status(), 2);
  EXPECT_EQ(run(), 2);
  EXPECT_THAT(said(), HasSubstr("jobs.yaml:3: " + video("a").string() + " is not the video that was rendered"));
  const ProgramRun refused = run_program(resume);
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("render it again with --overwrite"));
  EXPECT_EQ(read_text(video("a")), other);
  EXPECT_EQ(read_text(sidecar), note);
}

TEST_F(Batch, SeveralJobsFilesInOneFolderThatMoves) {
  const auto write = [&](const std::filesystem::path& file, const std::string& name) {
    std::ofstream(file) << "defaults: {model: " << (*shared_ / "model").string()
                        << ", frames: 18, device: cpu, dtype: float32}\njobs:\n  - {name: " << name
                        << ", prompt: a hill}\n";
  };
  const auto render = [&](const std::filesystem::path& file) {
    EXPECT_EQ(StartedProgram({"batch", file, "--progress", "lines"}, said_file()).wait(), 0) << said();
    return count(said(), " running ");
  };
  const auto days = folder_ / "days", moved = folder_ / "moved";
  std::filesystem::create_directory(days);
  write(days / "monday.yaml", "a");
  write(days / "tuesday.yaml", "b");
  EXPECT_EQ(render(days / "monday.yaml"), 1);
  EXPECT_EQ(run_program({"batch", days / "tuesday.yaml", "--dry-run"}).status, 0);
  EXPECT_EQ(render(days / "tuesday.yaml"), 1);
  EXPECT_EQ(read_json(days / "report.json").at("videos")[0].at("name"), "a");
  EXPECT_EQ(read_json(days / "tuesday.report.json").at("videos")[0].at("name"), "b");
  EXPECT_TRUE(std::filesystem::exists(days / "tuesday.report.html"));
  std::filesystem::rename(days, moved);
  std::filesystem::rename(moved / "tuesday.yaml", moved / "wednesday.yaml");
  for (const char* name : {"monday.yaml", "wednesday.yaml"}) {
    const ProgramRun status = run_program({"batch", moved / name, "--status"});
    EXPECT_EQ(status.status, 0) << name;
    EXPECT_THAT(status.out, HasSubstr("1 of 1 videos done"));
    EXPECT_EQ(render(moved / name), 0) << "it is done already";
  }
  EXPECT_EQ(read_json(moved / "report.json").at("videos")[0].at("output"), (moved / "videos/a.mp4").string());
}

TEST_F(Batch, WhatIsRefusedIsRefusedByTheDryRun) {
  write_jobs("  - {name: a, prompt: a hill, seed: 1}\n  - {name: b, prompt: a lake, contact_sheet: no/such/b.png}\n");
  ASSERT_EQ(run(), 0) << said() << "missing folders are created";
  write_jobs("  - {name: a, prompt: a hill, seed: 2}\n");
  const auto same_status = [&](const Words& more) {
    Words dry = command(more);
    dry.emplace_back("--dry-run");
    const ProgramRun check = run_program(dry);
    EXPECT_EQ(check.status, run(more)) << check.err << said();
    return check;
  };
  const ProgramRun settings = same_status({});
  EXPECT_EQ(settings.status, 2);
  EXPECT_THAT(settings.err, HasSubstr("jobs.yaml:3: " + video("a").string() + " exists and was made with other"));
  write_jobs("  - {name: c, prompt: a hill}\n");
  std::ofstream(folder_ / "mine.json") << "{}";
  EXPECT_EQ(same_status({"--report", folder_ / "mine.json"}).status, 2);
  EXPECT_EQ(same_status({"--report", folder_ / "no/folder/r.json"}).status, 5);
  std::filesystem::create_directory(folder_ / "r.json");
  EXPECT_EQ(same_status({"--report", folder_ / "r.json"}).status, 2);
  EXPECT_FALSE(std::filesystem::exists(video("c")));
}

TEST_F(Batch, RightRowsOfAListAreRendered) {
  std::ofstream(folder_ / "rows.csv") << "name,prompt,seed\none,a boat,1\ntwo/2,a cat,2\nthree,a dog,x\nfour,a fox,4\n";
  write_jobs("  - {name: r, prompts: rows.csv}\n");
  const ProgramRun check = run_program({"batch", jobs_file(), "--dry-run"});
  EXPECT_EQ(check.status, 2);
  EXPECT_EQ(count(check.out, "\n"), 2);
  EXPECT_EQ(run(), 2);
  EXPECT_EQ(report().at("counts").at("done"), 2) << said();
  EXPECT_TRUE(std::filesystem::exists(video("r-one")) && std::filesystem::exists(video("r-four")));
  for (const auto& [name, line] : {std::pair("r-two_2", 3), std::pair("r-three", 4)}) {
    const auto error = reported(name).at("error");
    EXPECT_EQ(error.at("line"), line);
    EXPECT_EQ(error.at("file"), (folder_ / "rows.csv").string());
  }
}

TEST_F(Batch, AVideoMadeWithOtherSettingsIsKept) {
  write_jobs("  - {name: a, prompt: a hill, seed: 1}\n");
  ASSERT_EQ(run(), 0) << said();
  const std::string before = read_text(video("a"));
  write_jobs("  - {name: a, prompt: a hill, seed: 2}\n");
  EXPECT_EQ(run(), 2);
  EXPECT_THAT(said(), HasSubstr("jobs.yaml:3: "));
  EXPECT_EQ(read_text(video("a")), before);
  write_jobs("  - {name: a, prompt: a hill, seed: 2, overwrite: true}\n");
  EXPECT_EQ(run(), 0) << said();
  EXPECT_NE(read_text(video("a")), before);
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(count(said(), " running "), 0) << "what is there is not replaced again: " << said();
}

TEST_F(Batch, ShardsShareTheVideosOut) {
  write_jobs("  - {name: a, prompt: a hill, seeds: [1, 2, 3]}\n");
  EXPECT_EQ(run({"--shard", "1/2"}), 0) << said();
  EXPECT_EQ(report().at("counts").at("done"), 1);
  EXPECT_EQ(run_program({"batch", jobs_file(), "--status"}).status, 6);
  EXPECT_EQ(run({"--shard", "2/2"}), 0) << said();
  EXPECT_EQ(report().at("counts").at("done"), 3);
  EXPECT_EQ(run_program({"batch", jobs_file(), "--shard", "3/2"}).status, 2);
}

TEST_F(Batch, TwoRunsNeverMakeAVideoTwice) {
  write_jobs("  - {name: a, prompt: a hill, seeds: [1, 2, 3, 4]}\n");
  StartedProgram first(command(), said_file("first")), second(command(), said_file("second"));
  EXPECT_EQ(first.wait(), 0) << said("first");
  EXPECT_EQ(second.wait(), 0) << said("second");
  const std::string both = said("first") + said("second");
  for (const char* name : {"a-1", "a-2", "a-3", "a-4"}) {
    EXPECT_EQ(count(both, std::string(name) + "  running"), 1) << both;
    EXPECT_EQ(reported(name).at("attempts"), 1);
  }
}

/// A batch that is ended in mid-video and run again makes the video that one run makes.
class InterruptedBatch : public Batch, public ::testing::WithParamInterface<int> {};

TEST_P(InterruptedBatch, GoesOn) {
  write_jobs("  - {name: a, prompt: a red hill, seeds: [1, 2]}\n");
  {
    const Faults faults("hang:a-2");
    StartedProgram program(command(), said_file());
    ASSERT_TRUE(wait_for_a_segment("a-2")) << said();
    program.signal(GetParam());
    EXPECT_EQ(program.wait(), 128 + GetParam()) << said();
  }
  const ProgramRun status = run_program({"batch", jobs_file(), "--status"});
  EXPECT_EQ(status.status, 6);
  EXPECT_THAT(status.out, HasSubstr("a-2   interrupted"));
  EXPECT_EQ(run(), 0) << said();
  EXPECT_EQ(count(said(), "  running"), 1) << said();
  EXPECT_TENSORS_IDENTICAL(read_video(video("a-2")), plain_video("a red hill", "2"));
}

INSTANTIATE_TEST_SUITE_P(Signals, InterruptedBatch, ::testing::Values(SIGTERM, SIGKILL));

}  // namespace
}  // namespace flashblock
