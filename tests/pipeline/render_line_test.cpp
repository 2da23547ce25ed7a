#include "pipeline/render_line.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace flashblock {
namespace {

using namespace std::chrono_literals;
using Lane = RenderLine::Lane;

class Line : public ::testing::TestWithParam<Overlap> {
 protected:
  /// Puts 0 to 19 into a decoding and a writing stage, which throws for `faulty`. Returns what was written.
  std::vector<int> run(int faulty = -1) {
    RenderLine::Run run(line_, GetParam(), 2, profile_);
    std::vector<int> written;
    auto write = run.stage<int>(Lane::kWrite, "write", [&](const int& value) {
      if (value == faulty) throw std::runtime_error("the disk is full");
      write_threads_.insert(std::this_thread::get_id());
      written.push_back(value);
    });
    auto decode = run.stage<int>(
        Lane::kDecode, "decode", [](const int& value) { return 10 * value; }, write);
    for (int i = 0; i < 20; ++i) decode.put(i);
    decode.finish();
    return written;
  }

  Profile profile_;
  RenderLine line_{at::kCPU};
  std::set<std::thread::id> write_threads_;
};

TEST_P(Line, WorksOffEverythingInOrder) {
  std::vector<int> expected(20);
  for (int i = 0; i < 20; ++i) expected[static_cast<size_t>(i)] = 10 * i;
  EXPECT_EQ(run(), expected);
}

TEST_P(Line, HasOneThreadPerStageForAllVideos) {
  for (int video = 0; video < 3; ++video) run();
  EXPECT_EQ(write_threads_.size(), 1u);
  EXPECT_EQ(write_threads_.count(std::this_thread::get_id()), GetParam() == Overlap::kOff ? 1u : 0u);
}

TEST_P(Line, ErrorReachesTheCallerAndTheNextVideoStartsAfresh) {
  for (const int faulty : {30, 190}) {
    EXPECT_THROW(run(faulty), std::runtime_error);
    EXPECT_EQ(run().size(), 20u);
  }
}

TEST_P(Line, MeasuresEachStage) {
  run();
  const std::vector<StageTime> stages = profile_.stages();
  ASSERT_EQ(stages.size(), 2u);
  for (const StageTime& stage : stages) EXPECT_EQ(stage.runs, 20) << stage.name;
}

TEST_P(Line, ComputesWithItsShareOfTheThreadsAndWithoutGradients) {
  const ThreadLimit cores(4);
  RenderLine::Run run(line_, GetParam(), 2, profile_);
  EXPECT_EQ(at::get_num_threads(), 2);
  EXPECT_TRUE(c10::InferenceMode::is_enabled());
  auto decode = run.stage<int>(Lane::kDecode, nullptr, [](const int&) {
    EXPECT_EQ(at::get_num_threads(), 2);
    EXPECT_TRUE(c10::InferenceMode::is_enabled());
  });
  decode.put(0);
  decode.finish();
  EXPECT_TRUE(profile_.stages().empty()) << "the stage has no name";
}

INSTANTIATE_TEST_SUITE_P(All, Line, ::testing::Values(Overlap::kOff, Overlap::kOn));

TEST(RenderLine, ThreadsOfTheCallerAreRestored) {
  const ThreadLimit cores(4);
  {
    Profile profile;
    RenderLine line(at::kCPU);
    const RenderLine::Run run(line, Overlap::kOn, 1, profile);
  }
  EXPECT_EQ(at::get_num_threads(), 4);
  EXPECT_FALSE(c10::InferenceMode::is_enabled());
}

TEST(RenderLine, DecodesInHalvesOnlyWhereAStageHasOneThreadAndStagesOverlap) {
  Profile profile;
  RenderLine line(at::kCPU);
  const auto halves = [&](int cores, Overlap overlap, int parts) {
    const ThreadLimit limit(cores);
    return RenderLine::Run(line, overlap, parts, profile).decodes_in_halves();
  };
  for (const int cores : {1, 2, 3}) EXPECT_TRUE(halves(cores, Overlap::kOn, 2));
  EXPECT_FALSE(halves(4, Overlap::kOn, 2));
  EXPECT_FALSE(halves(2, Overlap::kOff, 2));
  EXPECT_FALSE(halves(2, Overlap::kOn, 1));
}

class StageOnAThread : public ::testing::Test {
 protected:
  Profile profile_;
  RenderLine line_{at::kCPU};
  RenderLine::Run run_{line_, Overlap::kOn, 1, profile_};
};

TEST_F(StageOnAThread, BlocksWhoPutsTooFast) {
  std::atomic<int> begun = 0, put = 0;
  std::atomic<bool> go = false;
  auto stage = run_.stage<int>(Lane::kDecode, nullptr, [&](const int&) {
    ++begun;
    while (!go) std::this_thread::sleep_for(1ms);
  });
  std::thread putter([&] {
    for (; put < 5; ++put) stage.put(put);
  });
  std::this_thread::sleep_for(50ms);
  EXPECT_LE(put, 2) << "one running and one waiting";
  go = true;
  putter.join();
  stage.finish();
  EXPECT_EQ(begun, 5);
}

TEST_F(StageOnAThread, DropsWhatWaitsWhenDestroyed) {
  std::atomic<int> begun = 0, ended = 0;
  {
    auto stage = run_.stage<int>(Lane::kDecode, nullptr, [&](const int&) {
      ++begun;
      std::this_thread::sleep_for(50ms);
      ++ended;
    });
    stage.put(0);
    while (begun == 0) std::this_thread::yield();
    stage.put(1);
  }
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(ended, 1) << "what runs is not interrupted";
}

TEST_F(StageOnAThread, FreesAValueBeforeItIsReportedDone) {
  auto stage = run_.stage<std::shared_ptr<int>>(Lane::kDecode, nullptr, [](const std::shared_ptr<int>&) {});
  const auto value = std::make_shared<int>(1);
  stage.put(value);
  stage.finish();
  EXPECT_EQ(value.use_count(), 1);
}

TEST(RenderLine, SecondVideoWaitsForTheFirst) {
  Profile profile;
  RenderLine line(at::kCPU);
  std::atomic<bool> entered = false;
  std::thread second;
  {
    const RenderLine::Run first(line, Overlap::kOn, 1, profile);
    second = std::thread([&] {
      const RenderLine::Run run(line, Overlap::kOn, 1, profile);
      entered = true;
    });
    std::this_thread::sleep_for(30ms);
    EXPECT_FALSE(entered);
  }
  second.join();
  EXPECT_TRUE(entered);
}

}  // namespace
}  // namespace flashblock
