// One stage of the render line: a thread that works off a bounded queue, or the caller's own thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace flashblock {

/// Works off values in the order they are put. With capacity 0 there is no thread: put() does the work itself.
/// A fault in the work ends the stage; it is thrown again by the next put() or finish().
/// Thread safety: one thread may put and finish.
template <typename T>
class Stage {
 public:
  using Work = std::function<void(T)>;

  /// `capacity`: values that may wait; put() blocks while that many do, which keeps memory flat.
  Stage(size_t capacity, Work work) : capacity_(capacity), work_(std::move(work)) {
    if (capacity_ > 0) thread_ = std::thread([this] { run(); });
  }

  /// Values that still wait are dropped.
  ~Stage() {
    {
      const std::lock_guard lock(mutex_);
      queue_.clear();
    }
    close_and_join();
  }

  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  void put(T value) {
    if (capacity_ == 0) return work_(std::move(value));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return queue_.size() < capacity_ || fault_; });
    if (fault_) std::rethrow_exception(fault_);
    queue_.push_back(std::move(value));
    changed_.notify_all();
  }

  /// Returns when everything put has been worked off.
  void finish() {
    close_and_join();
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

  void close_and_join() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

  const size_t capacity_;
  Work work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> queue_;
  bool closed_ = false;
  std::exception_ptr fault_;
  std::thread thread_;
};

}  // namespace flashblock
