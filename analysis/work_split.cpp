#include "analysis/work_split.h"

#include <ATen/record_function.h>

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
