// Moments in the work of a device, and where its time goes by the scopes of core/work_scopes.h.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace flashblock {

/// A moment on the current stream of the calling thread: when all work queued so far is done. On the CPU, where a call
/// returns when its work is done, the moment of construction. Making one does not synchronize.
class TimeMark {
 public:
  explicit TimeMark(at::Device device);

  /// Seconds from `earlier`, a mark of the same device; the host waits until both are reached.
  double seconds_since(const TimeMark& earlier) const;

 private:
  std::chrono::steady_clock::time_point time_;
  std::optional<c10::Event> event_;  // on a GPU
};

/// Times the scopes that the calling thread enters during its life. Only the outermost ones count. Timing adds two
/// marks per scope: measure the whole without it. At most one per thread.
class WorkSplit {
 public:
  explicit WorkSplit(at::Device device);
  ~WorkSplit();
  WorkSplit(const WorkSplit&) = delete;
  WorkSplit& operator=(const WorkSplit&) = delete;

  /// Seconds so far, by name of scope; on a GPU those of its stream. Synchronizes the device.
  std::map<std::string, double> seconds() const;

  // For the observer of LibTorch.
  void enter(const char* scope);
  void leave();

 private:
  struct Part {
    std::string scope;
    TimeMark begin, end;
  };

  at::Device device_;
  uint64_t handle_;
  int depth_ = 0;
  std::string scope_;
  std::optional<TimeMark> begin_;  // of the open scope
  std::vector<Part> parts_;
};

}  // namespace flashblock
