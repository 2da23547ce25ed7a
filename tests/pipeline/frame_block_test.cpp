#include "pipeline/frame_block.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace flashblock {
namespace {

const VideoGeometry kGeometry{.width = 832, .height = 480};

TEST(FilmPlan, RoundsUpToWholeBlocksThenCuts) {
  const FilmPlan film = FilmPlan::for_pictures(kGeometry, /*initial_frames=*/0, 3, 80);
  EXPECT_EQ(film.blocks, 7);  // 21 latent frames, 81 pictures
  EXPECT_EQ(film.latent_frames(), 21);
  EXPECT_EQ(film.pictures, 80);
  EXPECT_EQ(FilmPlan::for_pictures(kGeometry, 0, 3, 81).blocks, 7);
  EXPECT_EQ(FilmPlan::for_pictures(kGeometry, 0, 3, 82).blocks, 8);
  EXPECT_EQ(FilmPlan::for_pictures(kGeometry, 0, 3, 1).blocks, 1);
}

TEST(FilmPlan, StartComesOnTopOfTheLength) {
  const FilmPlan film = FilmPlan::for_pictures(kGeometry, /*initial_frames=*/3, 3, 12);
  EXPECT_EQ(film.blocks, 1);
  EXPECT_EQ(film.pictures, 9 + 12);
  EXPECT_EQ(film.block(0).start_frame, 3);
}

TEST(FilmPlan, FollowsTheNoise) {
  const FilmPlan film = FilmPlan::for_noise(kGeometry, 3, 3, 6);
  EXPECT_EQ(film.blocks, 2);
  EXPECT_EQ(film.pictures, 33);
  EXPECT_THROW(FilmPlan::for_noise(kGeometry, 0, 3, 7), ConfigError);
}

TEST(FilmPlan, FindsTheBlockOfATime) {
  const FilmPlan film = FilmPlan::for_pictures(kGeometry, 0, 3, 81);
  const auto block_at = [&](double seconds) { return film.block_at(seconds, 16, kGeometry); };
  EXPECT_EQ(block_at(0.0), 0);
  EXPECT_EQ(block_at(8.0 / 16), 0) << "the first block has nine pictures";
  EXPECT_EQ(block_at(9.0 / 16), 1);
  EXPECT_EQ(block_at(20.0 / 16), 1) << "every later one twelve";
  EXPECT_EQ(block_at(21.0 / 16), 2);
  EXPECT_EQ(block_at(80.0 / 16), 6);
  EXPECT_THROW(block_at(81.0 / 16), ConfigError);
  for (int64_t fps : {16, 24, 30, 7}) {
    for (int64_t block = 0; block < film.blocks; ++block) {
      EXPECT_EQ(film.block_at(film.seconds_of(block, fps, kGeometry), fps, kGeometry), block) << fps << " per second";
    }
  }
}

TEST(FilmPlan, TheFirstFrameMayBeABlockOfItsOwn) {
  const FilmPlan film = FilmPlan::for_pictures(kGeometry, 0, 3, 81, /*lead_frames=*/1);
  EXPECT_EQ(film.blocks, 8);  // 1 + 7 x 3 latent frames
  EXPECT_EQ(film.latent_frames(), 22);
  EXPECT_EQ(film.block(0).frames, 1);
  EXPECT_EQ(film.block(1).start_frame, 1);
  EXPECT_EQ(film.block(7).start_frame, 19);
  EXPECT_EQ(film.block(7).frames, 3);
  EXPECT_EQ(film.block_at(0, 16, kGeometry), 0);
  EXPECT_EQ(film.block_at(1.0 / 16, 16, kGeometry), 1);
  EXPECT_EQ(film.block_at(80.0 / 16, 16, kGeometry), 7);
  EXPECT_EQ(FilmPlan::for_noise(kGeometry, 0, 3, 22, 1).blocks, 8);
  EXPECT_THROW(FilmPlan::for_noise(kGeometry, 0, 3, 21, 1), ConfigError);
  EXPECT_EQ(FilmPlan::for_pictures(kGeometry, 0, 3, 1, 1).blocks, 1);
}

TEST(FilmPlan, AStartWithALoneFirstFrameIsFollowedByWholeBlocks) {
  const FilmPlan film = FilmPlan::for_pictures(kGeometry, /*initial_frames=*/4, 3, 12, /*lead_frames=*/1);
  EXPECT_EQ(film.any_block(0).frames, 1);
  EXPECT_EQ(film.any_block(1).start_frame, 1);
  EXPECT_EQ(film.any_block(1).frames, 3);
  EXPECT_EQ(film.block(0).start_frame, 4);
  EXPECT_EQ(film.block(0).frames, 3);
  EXPECT_EQ(film.blocks, 1);
  EXPECT_EQ(FilmPlan::for_noise(kGeometry, 1, 3, 6, 1).latent_frames(), 7);
}

TEST(FilmPlan, TimeInsideTheStartIsTheFirstBlock) {
  const FilmPlan film = FilmPlan::for_pictures(kGeometry, 3, 3, 24);
  EXPECT_EQ(film.block_at(0.1, 16, kGeometry), 0);
  EXPECT_EQ(film.block_at(9.0 / 16, 16, kGeometry), 0);
  EXPECT_EQ(film.block_at(21.0 / 16, 16, kGeometry), 1);
}

}  // namespace
}  // namespace flashblock
