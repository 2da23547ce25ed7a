// A thread that outlives the work it is given.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

namespace flashblock {

/// Does one piece of work after another, in the order in which they are given. A fault in one leaves it ready for the
/// next. Thread safety: start() may be called from any thread.
class WorkerThread {
 public:
  WorkerThread();
  /// Waits until everything given is done.
  ~WorkerThread();
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  /// The future is ready when `work` is done, and throws what that threw. Its destructor does not wait.
  [[nodiscard]] std::future<void> start(std::function<void()> work);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::packaged_task<void()>> queue_;
  bool closed_ = false;
  std::thread thread_;
};

}  // namespace flashblock
