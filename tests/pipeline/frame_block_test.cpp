#include "pipeline/frame_block.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace flashblock {
namespace {

const VideoGeometry kGeometry{.width = 832, .height = 480};

TEST(VideoPlan, RoundsUpToWholeBlocksThenCuts) {
  const VideoPlan video = VideoPlan::for_frames(kGeometry, /*initial_frames=*/0, 3, 80);
  EXPECT_EQ(video.blocks, 7);  // 21 latent frames, 81 frames
  EXPECT_EQ(video.latent_frames(), 21);
  EXPECT_EQ(video.frames, 80);
  EXPECT_EQ(VideoPlan::for_frames(kGeometry, 0, 3, 81).blocks, 7);
  EXPECT_EQ(VideoPlan::for_frames(kGeometry, 0, 3, 82).blocks, 8);
  EXPECT_EQ(VideoPlan::for_frames(kGeometry, 0, 3, 1).blocks, 1);
}

TEST(VideoPlan, StartIsAddedToTheLength) {
  const VideoPlan video = VideoPlan::for_frames(kGeometry, /*initial_frames=*/3, 3, 12);
  EXPECT_EQ(video.blocks, 1);
  EXPECT_EQ(video.frames, 9 + 12);
  EXPECT_EQ(video.block(0).start_frame, 3);
}

TEST(VideoPlan, FollowsTheNoise) {
  const VideoPlan video = VideoPlan::for_noise(kGeometry, 3, 3, 6);
  EXPECT_EQ(video.blocks, 2);
  EXPECT_EQ(video.frames, 33);
  EXPECT_THROW(VideoPlan::for_noise(kGeometry, 0, 3, 7), ConfigError);
}

TEST(VideoPlan, FindsTheBlockOfATime) {
  const VideoPlan video = VideoPlan::for_frames(kGeometry, 0, 3, 81);
  const auto block_at = [&](double seconds) { return video.block_at(seconds, 16, kGeometry); };
  EXPECT_EQ(block_at(0.0), 0);
  EXPECT_EQ(block_at(8.0 / 16), 0) << "the first block has nine frames";
  EXPECT_EQ(block_at(9.0 / 16), 1);
  EXPECT_EQ(block_at(20.0 / 16), 1) << "every later one twelve";
  EXPECT_EQ(block_at(21.0 / 16), 2);
  EXPECT_EQ(block_at(80.0 / 16), 6);
  EXPECT_THROW(block_at(81.0 / 16), ConfigError);
  for (int64_t fps : {16, 24, 30, 7}) {
    for (int64_t block = 0; block < video.blocks; ++block) {
      EXPECT_EQ(video.block_at(video.seconds_of(block, fps, kGeometry), fps, kGeometry), block) << fps << " per second";
    }
  }
}

TEST(VideoPlan, TheFirstFrameMayBeASeparateBlock) {
  const VideoPlan video = VideoPlan::for_frames(kGeometry, 0, 3, 81, /*lead_frames=*/1);
  EXPECT_EQ(video.blocks, 8);  // 1 + 7 x 3 latent frames
  EXPECT_EQ(video.latent_frames(), 22);
  EXPECT_EQ(video.block(0).frames, 1);
  EXPECT_EQ(video.block(1).start_frame, 1);
  EXPECT_EQ(video.block(7).start_frame, 19);
  EXPECT_EQ(video.block(7).frames, 3);
  EXPECT_EQ(video.block_at(0, 16, kGeometry), 0);
  EXPECT_EQ(video.block_at(1.0 / 16, 16, kGeometry), 1);
  EXPECT_EQ(video.block_at(80.0 / 16, 16, kGeometry), 7);
  EXPECT_EQ(VideoPlan::for_noise(kGeometry, 0, 3, 22, 1).blocks, 8);
  EXPECT_THROW(VideoPlan::for_noise(kGeometry, 0, 3, 21, 1), ConfigError);
  EXPECT_EQ(VideoPlan::for_frames(kGeometry, 0, 3, 1, 1).blocks, 1);
}

TEST(VideoPlan, AStartWithASeparateFirstFrameIsFollowedByWholeBlocks) {
  const VideoPlan video = VideoPlan::for_frames(kGeometry, /*initial_frames=*/4, 3, 12, /*lead_frames=*/1);
  EXPECT_EQ(video.any_block(0).frames, 1);
  EXPECT_EQ(video.any_block(1).start_frame, 1);
  EXPECT_EQ(video.any_block(1).frames, 3);
  EXPECT_EQ(video.block(0).start_frame, 4);
  EXPECT_EQ(video.block(0).frames, 3);
  EXPECT_EQ(video.blocks, 1);
  EXPECT_EQ(VideoPlan::for_noise(kGeometry, 1, 3, 6, 1).latent_frames(), 7);
}

TEST(VideoPlan, TimeInsideTheStartIsTheFirstBlock) {
  const VideoPlan video = VideoPlan::for_frames(kGeometry, 3, 3, 24);
  EXPECT_EQ(video.block_at(0.1, 16, kGeometry), 0);
  EXPECT_EQ(video.block_at(9.0 / 16, 16, kGeometry), 0);
  EXPECT_EQ(video.block_at(21.0 / 16, 16, kGeometry), 1);
}

}  // namespace
}  // namespace flashblock
