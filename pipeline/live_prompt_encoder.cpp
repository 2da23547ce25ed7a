#include "pipeline/live_prompt_encoder.h"

#include <ATen/Parallel.h>

#include <latch>

namespace flashblock {

// LibTorch has a thread count per thread and a default for new threads, and setting the first sets the second too: the
// thread sets its count before any other thread starts to compute, and the destructor restores the default.
LivePromptEncoder::LivePromptEncoder(std::shared_ptr<LivePrompts> prompts, Encode encode, Taken taken, int threads)
    : prompts_(std::move(prompts)),
      encode_(std::move(encode)),
      taken_(std::move(taken)),
      threads_(threads),
      threads_before_(at::get_num_threads()) {
  std::latch started(1);
  thread_ = std::jthread([this, &started](const std::stop_token& stop) {
    at::set_num_threads(threads_);
    started.count_down();
    run(stop);
  });
  started.wait();
}

LivePromptEncoder::~LivePromptEncoder() {
  thread_.request_stop();
  thread_.join();
  at::set_num_threads(threads_before_);
}

void LivePromptEncoder::run(const std::stop_token& stop) {
  int64_t last = 0;
  while (const auto request = prompts_->next(last, stop)) {
    last = request->number;
    try {
      EncodedPrompt encoded = encode_(request->text);
      const std::lock_guard lock(mutex_);
      ready_.emplace(*request, std::move(encoded));
    } catch (const std::exception& error) {
      prompts_->refuse(*request, error.what());
    }
  }
}

std::optional<LivePrompt> LivePromptEncoder::at_block(int64_t block) {
  const std::lock_guard lock(mutex_);
  if (!ready_) return {};
  auto [request, encoded] = std::move(*ready_);
  ready_.reset();
  if (!prompts_->take(request, block)) return {};
  encoded.first_block = block;
  taken_({.block = block, .text = request.text});
  return LivePrompt{.text = request.text, .encoded = std::move(encoded)};
}

}  // namespace flashblock
