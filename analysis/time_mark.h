// Moments in the work of a device.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <chrono>
#include <optional>

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

}  // namespace flashblock
