#include "pipeline/worker_thread.h"

#include <gtest/gtest.h>

#include <numeric>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

namespace flashblock {
namespace {

TEST(WorkerThread, WorksInOrderOnOneThreadOfItsOwn) {
  std::vector<int> seen, in_order(50);
  std::iota(in_order.begin(), in_order.end(), 0);
  std::vector<std::thread::id> threads;
  WorkerThread worker;
  std::future<void> last;
  for (const int i : in_order) {
    last = worker.start([&, i] {
      seen.push_back(i);
      threads.push_back(std::this_thread::get_id());
    });
  }
  last.get();
  EXPECT_EQ(seen, in_order);
  EXPECT_EQ(threads, std::vector(50, threads.front()));
  EXPECT_NE(threads.front(), std::this_thread::get_id());
}

TEST(WorkerThread, FaultReachesWhoeverAsksAndTheNextWorkIsDone) {
  WorkerThread worker;
  bool done = false;
  std::future<void> faulty = worker.start([] { throw std::runtime_error("broken"); });
  std::future<void> next = worker.start([&] { done = true; });
  EXPECT_NO_THROW(next.get());
  EXPECT_TRUE(done);
  EXPECT_THROW(faulty.get(), std::runtime_error);
  static_cast<void>(worker.start([] { throw std::runtime_error("nobody asks"); }));
}

TEST(WorkerThread, EndsWhenEverythingGivenIsDone) {
  int done = 0;
  std::optional<WorkerThread> worker(std::in_place);
  for (int i = 0; i < 10; ++i) {
    static_cast<void>(worker->start([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ++done;
    }));
  }
  worker.reset();
  EXPECT_EQ(done, 10);
}

}  // namespace
}  // namespace flashblock
