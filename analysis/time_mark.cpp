#include "analysis/time_mark.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace flashblock {

TimeMark::TimeMark(at::Device device) : time_(std::chrono::steady_clock::now()) {
  if (device.is_cpu()) return;
  event_.emplace(device.type(), c10::EventFlag::BACKEND_DEFAULT);  // the default kind does not record time
  event_->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
}

double TimeMark::seconds_since(const TimeMark& earlier) const {
  if (!event_) return std::chrono::duration<double>(time_ - earlier.time_).count();
  event_->synchronize();
  earlier.event_->synchronize();
  return earlier.event_->elapsedTime(*event_) / 1e3;
}

}  // namespace flashblock
