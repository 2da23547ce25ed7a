// Disks that fill up while films are rendered: nothing is lost, and the film goes on once there is room.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/end_to_end/unfinished_film.h"
#include "tests/support/small_disk.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kBlocks = 33;

class DiskFull : public UnfinishedFilm {
 protected:
  void SetUp() override {
    FLASHBLOCK_NEED_DISK(disk_);
    ASSERT_EQ(render("whole", longer_).status, 0);
    whole_ = film("whole");
    place_ = disk_ / "";
  }

  int64_t pieces(const std::string& name) const {
    int64_t number = 0;
    while (fs::exists(parts(name) / piece(number)) && fs::exists(parts(name) / piece(number, ".safetensors"))) ++number;
    return number;
  }
  /// What the film takes of the disk before its pieces are joined.
  int64_t pieces_bytes() const {
    const int64_t room = disk_.free_bytes();
    leave_unfinished("measured", kBlocks, longer_);
    const int64_t taken = room - disk_.free_bytes();
    fs::remove_all(parts("measured"));
    return taken;
  }
  /// More than is asked for before a film of this size begins.
  void leave_room_for(int64_t bytes) { disk_.take(disk_.free_bytes() - bytes); }

  std::string said() const { return read_text(folder_ / "errors"); }
  void expect_one_clear_line() const {
    const std::string text = said();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    EXPECT_THAT(text, AllOf(StartsWith("flashblock: error: "), HasSubstr(place_.string()),
                            HasSubstr("flashblock render --resume --output " + film("film").string())));
  }

  /// The film is finished after the `kept` blocks that are there, and is the film of one run.
  void make_room_and_go_on(int64_t kept) {
    disk_.make_room();
    const ProgramRun run = resume("film");
    ASSERT_EQ(run.status, 0) << run.err;
    expect_same_film(film("film"), whole_);
    EXPECT_EQ(read_json(place_ / "film.json").at("film").at("resumed_frame_blocks"), kept);
  }

  const Words longer_ = {"--set", "frames=393"};
  SmallDisk disk_{int64_t{8} << 20};
  fs::path whole_;
};

TEST_F(DiskFull, InMidFilmKeepsWhatIsFinished) {
  leave_room_for(pieces_bytes() / 2);
  EXPECT_EQ(StartedProgram(command("film", longer_), folder_ / "errors").wait(), 5) << said();
  expect_one_clear_line();
  EXPECT_THAT(said(), HasSubstr("the disk is full"));
  EXPECT_FALSE(fs::exists(film("film")));
  const int64_t kept = pieces("film");
  EXPECT_GE(kept, 3);

  disk_.fill();
  const ProgramRun still_full = resume("film");
  EXPECT_EQ(still_full.status, 5);
  EXPECT_THAT(still_full.err, AllOf(StartsWith("flashblock: error: "), HasSubstr("free some space")));
  EXPECT_EQ(pieces("film"), kept);

  make_room_and_go_on(kept);
}

TEST_F(DiskFull, InABatchKeepsWhatIsFinished) {
  std::ofstream(disk_ / "jobs.yaml") << "defaults: {model: " << model().string()
                                     << ", frames: 393, device: cpu, dtype: float32, output: \"{name}.mp4\"}\n"
                                     << "jobs:\n  - {name: film, prompt: a red hill, seeds: [7, 8]}\n";
  const Words batch = {"batch", disk_ / "jobs.yaml", "--progress", "lines"};
  leave_room_for(pieces_bytes() / 2);
  EXPECT_EQ(StartedProgram(batch, folder_ / "errors").wait(), 5) << said();
  EXPECT_THAT(said(), AllOf(HasSubstr("film-7  failed"), HasSubstr("the disk is full"), HasSubstr("film-8  failed")))
      << "one after the other, whatever cannot be recorded";
  const int64_t kept = pieces("film-7");
  EXPECT_GE(kept, 3);

  disk_.make_room();
  EXPECT_EQ(StartedProgram(batch, folder_ / "errors").wait(), 0) << said();
  expect_same_film(film("film-7"), whole_);
  EXPECT_EQ(read_json(place_ / "film-7.json").at("film").at("resumed_frame_blocks"), kept);
  EXPECT_TRUE(fs::exists(film("film-8")));
}

/// How much of the film finds room beside its pieces when they are joined, in percent.
class DiskFullAtTheJoin : public DiskFull, public ::testing::WithParamInterface<int64_t> {};

TEST_P(DiskFullAtTheJoin, KeepsThePieces) {
  leave_room_for(pieces_bytes() + static_cast<int64_t>(fs::file_size(whole_)) * GetParam() / 100);
  EXPECT_EQ(StartedProgram(command("film", longer_), folder_ / "errors").wait(), 5) << said();
  expect_one_clear_line();
  EXPECT_FALSE(fs::exists(film("film").string() + ".part"));
  EXPECT_EQ(pieces("film"), kBlocks);

  make_room_and_go_on(kBlocks);
}

INSTANTIATE_TEST_SUITE_P(Room, DiskFullAtTheJoin, ::testing::Values(30, 90));

}  // namespace
}  // namespace flashblock
