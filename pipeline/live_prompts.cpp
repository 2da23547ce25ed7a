#include "pipeline/live_prompts.h"

#include <utility>

namespace flashblock {

void LivePrompts::change_to(std::string prompt) {
  const std::lock_guard lock(mutex_);
  waiting_ = Request{.number = ++requests_, .text = std::move(prompt)};
  fault_.clear();
  changed_.notify_all();
}

LivePromptState LivePrompts::state() const {
  const std::lock_guard lock(mutex_);
  LivePromptState state{.taken = taken_, .fault = fault_};
  if (waiting_) state.waiting = waiting_->text;
  return state;
}

std::optional<LivePrompts::Request> LivePrompts::next(int64_t last, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait(lock, stop, [&] { return waiting_ && waiting_->number > last; })) return {};
  return waiting_;
}

bool LivePrompts::take(const Request& request, int64_t block) {
  const std::lock_guard lock(mutex_);
  if (!waiting_ || waiting_->number != request.number) return false;
  waiting_.reset();
  taken_.push_back({.block = block, .text = request.text});
  return true;
}

void LivePrompts::refuse(const Request& request, const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (!waiting_ || waiting_->number != request.number) return;
  waiting_.reset();
  fault_ = why;
}

}  // namespace flashblock
