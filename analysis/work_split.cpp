#include "analysis/work_split.h"

#include <ATen/record_function.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <memory>
#include <utility>

#include "core/check.h"

namespace flashblock {
namespace {

thread_local WorkSplit* watching = nullptr;  // LibTorch's callbacks are plain functions

std::unique_ptr<at::ObserverContext> on_enter(const at::RecordFunction& scope) {
  if (watching) watching->enter(scope.name());
  return nullptr;
}

void on_leave(const at::RecordFunction&, at::ObserverContext*) {
  if (watching) watching->leave();
}

}  // namespace

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

WorkSplit::WorkSplit(at::Device device) : device_(device) {
  FB_CHECK(!watching);
  watching = this;
  handle_ =
      at::addThreadLocalCallback(at::RecordFunctionCallback(on_enter, on_leave).scopes({at::RecordScope::USER_SCOPE}));
}

WorkSplit::~WorkSplit() {
  at::removeCallback(handle_);
  watching = nullptr;
}

void WorkSplit::enter(const char* scope) {
  if (depth_++ > 0) return;
  scope_ = scope;
  begin_.emplace(device_);
}

void WorkSplit::leave() {
  if (--depth_ > 0) return;
  parts_.push_back({.scope = scope_, .begin = std::move(*begin_), .end = TimeMark(device_)});
}

std::map<std::string, double> WorkSplit::seconds() const {
  std::map<std::string, double> sums;
  for (const Part& part : parts_) sums[part.scope] += part.end.seconds_since(part.begin);
  return sums;
}

}  // namespace flashblock
