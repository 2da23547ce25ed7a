#include "models/video_geometry.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace flashblock {
namespace {

TEST(VideoGeometry, FollowsTheReferenceAt480p) {
  const VideoGeometry geometry{.width = 832, .height = 480};
  EXPECT_EQ(geometry.latent_height(), 60);
  EXPECT_EQ(geometry.latent_width(), 104);
  EXPECT_EQ(geometry.tokens_per_frame(), 1560);
  EXPECT_EQ(geometry.frames_of(21), 81);
  EXPECT_EQ(geometry.latent_frames_for(81), 21);
  EXPECT_EQ(geometry.latent_frames_for(82), 22);
  EXPECT_EQ(geometry.latent_frames_for(1), 1);
}

TEST(VideoGeometry, RefusesSizesOffTheTokenGridAndNamesTheNearest) {
  EXPECT_NO_THROW((VideoGeometry{.width = 256, .height = 144}.validate()));
  try {
    VideoGeometry{.width = 250, .height = 150}.validate();
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("256x144"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace flashblock
