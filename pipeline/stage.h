// One stage of the render line: a bounded queue that a worker works off, or the caller's own thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <mutex>
#include <utility>

#include "pipeline/worker_thread.h"

namespace flashblock {

/// Works off values in the order they are put, on a worker, which it has to itself until it ends. Without a worker,
/// put() does the work itself. A fault in the work ends the stage, not the worker; it is thrown again by the next put()
/// or finish().
/// Thread safety: one thread may put and finish.
template <typename T>
class Stage {
 public:
  using Work = std::function<void(T)>;

  /// `worker`: may be null; else outlives the stage. `capacity`: values that may wait for it, at least 1; put() blocks
  /// while that many do, which keeps memory flat.
  Stage(WorkerThread* worker, size_t capacity, Work work) : capacity_(capacity), work_(std::move(work)) {
    if (worker) ended_ = worker->start([this] { run(); });
  }

  /// Values that still wait are dropped.
  ~Stage() {
    {
      const std::lock_guard lock(mutex_);
      queue_.clear();
    }
    close_and_wait();
  }

  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  void put(T value) {
    if (!ended_.valid()) return work_(std::move(value));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return queue_.size() < capacity_ || fault_; });
    if (fault_) std::rethrow_exception(fault_);
    queue_.push_back(std::move(value));
    changed_.notify_all();
  }

  /// Returns when everything put has been worked off.
  void finish() {
    close_and_wait();
    if (fault_) std::rethrow_exception(fault_);
  }

 private:
  void run() {
    try {
      for (;;) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !queue_.empty() || closed_; });
        if (queue_.empty()) return;
        T value = std::move(queue_.front());
        queue_.pop_front();
        changed_.notify_all();
        lock.unlock();
        work_(std::move(value));
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      fault_ = std::current_exception();
      changed_.notify_all();
    }
  }

  void close_and_wait() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      changed_.notify_all();
    }
    if (ended_.valid()) ended_.wait();
  }

  const size_t capacity_;
  Work work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> queue_;
  bool closed_ = false;
  std::exception_ptr fault_;
  std::future<void> ended_;  ///< of run(); not valid without a worker
};

}  // namespace flashblock
