#include "pipeline/stage.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace flashblock {
namespace {

using namespace std::chrono_literals;

/// 0: no worker.
class Capacity : public ::testing::TestWithParam<size_t> {
 protected:
  WorkerThread* worker() { return GetParam() > 0 ? &thread_ : nullptr; }

 private:
  WorkerThread thread_;
};

TEST_P(Capacity, WorksOffEverythingInOrder) {
  std::vector<int> seen;
  Stage<int> stage(worker(), GetParam(), [&](int value) { seen.push_back(value); });
  for (int i = 0; i < 50; ++i) stage.put(i);
  stage.finish();
  ASSERT_EQ(seen.size(), 50u);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST_P(Capacity, FaultReachesWhoeverPuts) {
  const auto put_some = [&] {
    Stage<int> stage(worker(), GetParam(), [](int value) {
      if (value == 3) throw std::runtime_error("three");
    });
    for (int i = 0; i < 100; ++i) stage.put(i);
    stage.finish();
  };
  EXPECT_THROW(put_some(), std::runtime_error);
  EXPECT_THROW(put_some(), std::runtime_error) << "the worker is there for another stage";
}

INSTANTIATE_TEST_SUITE_P(All, Capacity, ::testing::Values(0, 1, 3));

TEST(Stage, HoldsBackWhoPutsTooFast) {
  std::atomic<int> begun = 0;
  std::atomic<bool> go = false;
  WorkerThread worker;
  Stage<int> stage(&worker, 1, [&](int) {
    ++begun;
    while (!go) std::this_thread::sleep_for(1ms);
  });
  std::atomic<int> put = 0;
  std::thread putter([&] {
    for (; put < 5; ++put) stage.put(put);
  });
  std::this_thread::sleep_for(50ms);
  EXPECT_LE(put, 2) << "one in work and one waiting";
  go = true;
  putter.join();
  stage.finish();
  EXPECT_EQ(begun, 5);
}

TEST(Stage, DropsWhatWaitsWhenDestroyed) {
  std::atomic<int> worked = 0;
  WorkerThread worker;
  {
    Stage<int> stage(&worker, 8, [&](int) {
      ++worked;
      std::this_thread::sleep_for(20ms);
    });
    for (int i = 0; i < 8; ++i) stage.put(i);
  }
  EXPECT_LT(worked, 8);
}

}  // namespace
}  // namespace flashblock
