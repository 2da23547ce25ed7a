// Workers as the supervisor sees them: they take one video after another and report how it goes.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "batch/worker_messages.h"

namespace flashblock {

/// What a worker may use of the machine.
struct WorkerShare {
  int64_t gpu = -1;     ///< the first GPU that it sees; -1: the CPU
  int64_t gpus = 1;     ///< how many it sees, from `gpu` on
  int64_t threads = 0;  ///< CPU threads; 0: all cores
};

/// A running worker. The destructor kills it if it still runs. Thread safety: none.
class Worker {
 public:
  virtual ~Worker() = default;

  /// Sends a video to render; ignored if the worker has died.
  virtual void send(const WorkerJob& job) = 0;
  /// Asks it to stop: it writes the frame blocks that are denoised by then, reports and exits.
  virtual void close_input() = 0;
  /// Events since the last call, oldest first; kExited comes once, as the last one. Does not wait.
  virtual std::vector<WorkerEvent> read_events() = 0;
  virtual void kill() = 0;
  /// Descriptors that become readable when there is something to read; for WorkerHost::wait.
  virtual std::vector<int> descriptors() const = 0;
};

/// Where workers run, and the clock that their time limits are measured with.
class WorkerHost {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  virtual ~WorkerHost() = default;
  virtual int64_t gpus() const = 0;
  /// Throws: DeviceError if the worker cannot be started.
  virtual std::unique_ptr<Worker> start(const WorkerShare& share) = 0;
  /// Waits until one of the descriptors is readable, at most for `limit`.
  virtual void wait(const std::vector<int>& descriptors, std::chrono::milliseconds limit) = 0;
  virtual TimePoint now() const = 0;
};

}  // namespace flashblock
