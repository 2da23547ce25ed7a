// Disks that fill up while videos are rendered: nothing is lost, and the video continues once there is space.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/end_to_end/unfinished_video.h"
#include "tests/support/small_disk.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kBlocks = 33;

class DiskFull : public UnfinishedVideo {
 protected:
  void SetUp() override {
    FLASHBLOCK_NEED_DISK(disk_);
    ASSERT_EQ(render("whole", longer_).status, 0);
    whole_ = video("whole");
    place_ = disk_ / "";
  }

  int64_t segments(const std::string& name) const {
    int64_t number = 0;
    while (fs::exists(parts(name) / segment(number)) && fs::exists(parts(name) / segment(number, ".safetensors")))
      ++number;
    return number;
  }
  /// Disk space of the video before its segments are joined.
  int64_t segments_bytes() const {
    const int64_t room = disk_.free_bytes();
    leave_unfinished("measured", kBlocks, longer_);
    const int64_t taken = room - disk_.free_bytes();
    fs::remove_all(parts("measured"));
    return taken;
  }
  /// More than the check before a video of this size requires.
  void leave_room_for(int64_t bytes) { disk_.take(disk_.free_bytes() - bytes); }

  std::string said() const { return read_text(folder_ / "errors"); }
  void expect_one_clear_line() const {
    const std::string text = said();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    EXPECT_THAT(text, AllOf(StartsWith("flashblock: error: "), HasSubstr(place_.string()),
                            HasSubstr("flashblock render --resume --output " + video("video").string())));
  }

  /// The video is finished after the `kept` blocks that are there, and is the video of one run.
  void make_room_and_resume(int64_t kept) {
    disk_.make_room();
    const ProgramRun run = resume("video");
    ASSERT_EQ(run.status, 0) << run.err;
    expect_same_video(video("video"), whole_);
    EXPECT_EQ(read_json(place_ / "video.json").at("video").at("resumed_frame_blocks"), kept);
  }

  const Words longer_ = {"--set", "frames=393"};
  SmallDisk disk_{int64_t{8} << 20};
  fs::path whole_;
};

TEST_F(DiskFull, InMidVideoKeepsWhatIsFinished) {
  leave_room_for(segments_bytes() / 2);
  EXPECT_EQ(StartedProgram(command("video", longer_), folder_ / "errors").wait(), 5) << said();
  expect_one_clear_line();
  EXPECT_THAT(said(), HasSubstr("the disk is full"));
  EXPECT_FALSE(fs::exists(video("video")));
  const int64_t kept = segments("video");
  EXPECT_GE(kept, 3);

  disk_.fill();
  const ProgramRun still_full = resume("video");
  EXPECT_EQ(still_full.status, 5);
  EXPECT_THAT(still_full.err, AllOf(StartsWith("flashblock: error: "), HasSubstr("free some space")));
  EXPECT_EQ(segments("video"), kept);

  make_room_and_resume(kept);
}

TEST_F(DiskFull, InABatchKeepsWhatIsFinished) {
  std::ofstream(disk_ / "jobs.yaml") << "defaults: {model: " << model().string()
                                     << ", frames: 393, device: cpu, dtype: float32, output: \"{name}.mp4\"}\n"
                                     << "jobs:\n  - {name: video, prompt: a red hill, seeds: [7, 8]}\n";
  const Words batch = {"batch", disk_ / "jobs.yaml", "--progress", "lines"};
  leave_room_for(segments_bytes() / 2);
  EXPECT_EQ(StartedProgram(batch, folder_ / "errors").wait(), 5) << said();
  EXPECT_THAT(said(), AllOf(HasSubstr("video-7  failed"), HasSubstr("the disk is full"), HasSubstr("video-8  failed")))
      << "one after the other, whatever cannot be recorded";
  const int64_t kept = segments("video-7");
  EXPECT_GE(kept, 3);

  disk_.make_room();
  EXPECT_EQ(StartedProgram(batch, folder_ / "errors").wait(), 0) << said();
  expect_same_video(video("video-7"), whole_);
  EXPECT_EQ(read_json(place_ / "video-7.json").at("video").at("resumed_frame_blocks"), kept);
  EXPECT_TRUE(fs::exists(video("video-8")));
}

/// How much of the video fits beside its segments when they are joined, in percent.
class DiskFullAtTheJoin : public DiskFull, public ::testing::WithParamInterface<int64_t> {};

TEST_P(DiskFullAtTheJoin, KeepsTheSegments) {
  leave_room_for(segments_bytes() + static_cast<int64_t>(fs::file_size(whole_)) * GetParam() / 100);
  EXPECT_EQ(StartedProgram(command("video", longer_), folder_ / "errors").wait(), 5) << said();
  expect_one_clear_line();
  EXPECT_FALSE(fs::exists(video("video").string() + ".part"));
  EXPECT_EQ(segments("video"), kBlocks);

  make_room_and_resume(kBlocks);
}

INSTANTIATE_TEST_SUITE_P(Room, DiskFullAtTheJoin, ::testing::Values(30, 90));

}  // namespace
}  // namespace flashblock
