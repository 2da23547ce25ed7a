#include "core/profile.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace flashblock::testing {
namespace {

TEST(Profile, SumsTimesAndCountsOverThreads) {
  Profile profile;
  {
    const auto scope = profile.measure("decode");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        profile.add_time("denoise", 0.5);
        profile.count("blocks");
      }
    });
  for (auto& thread : threads) thread.join();
  ASSERT_EQ(profile.stages().size(), 2u);
  EXPECT_EQ(profile.stages()[0].name, "decode");
  EXPECT_EQ(profile.stages()[1].runs, 400);
  EXPECT_GE(profile.seconds("decode"), 0.005);
  EXPECT_DOUBLE_EQ(profile.seconds("denoise"), 200.0);
  EXPECT_EQ(profile.counter("blocks"), 400);
  EXPECT_EQ(profile.counter("none"), 0);
  EXPECT_EQ(profile.seconds("none"), 0.0);
}

TEST(Profile, ForgetsOnRequest) {
  Profile profile;
  profile.add_time("decode", 1.0);
  profile.count("blocks");
  profile.clear();
  EXPECT_TRUE(profile.stages().empty());
  EXPECT_EQ(profile.counter("blocks"), 0);
}

TEST(Profile, ANullProfileRecordsNothing) { const Profile::Scope scope(nullptr, "decode"); }

}  // namespace
}  // namespace flashblock::testing
