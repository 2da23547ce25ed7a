// Encodes the prompts of LivePrompts while the video is rendered.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "pipeline/live_prompts.h"
#include "pipeline/session_inputs.h"

namespace flashblock {

/// Tokenizes and encodes each new prompt on a background thread; it takes effect at the first frame block that starts
/// after that. Thread safety: at_block() is for one thread.
class LivePromptEncoder : public PromptSource {
 public:
  using Encode = std::function<EncodedPrompt(const std::string& text)>;
  /// Called on the thread of at_block(), before the prompt takes effect. What it throws, at_block() throws.
  using Taken = std::function<void(const TakenPrompt&)>;

  /// `encode` runs with `threads` CPU threads, as many as encode the prompts of the configuration: rounding depends on
  /// how sums are divided among threads, and a live prompt must give the same embedding as a planned one. If `encode`
  /// throws, the prompt is refused and the video continues.
  LivePromptEncoder(std::shared_ptr<LivePrompts> prompts, Encode encode, Taken taken, int threads);
  /// Joins the thread, once the prompt in work is encoded.
  ~LivePromptEncoder() override;
  LivePromptEncoder(const LivePromptEncoder&) = delete;
  LivePromptEncoder& operator=(const LivePromptEncoder&) = delete;

  std::optional<LivePrompt> at_block(int64_t block) override;

 private:
  void run(const std::stop_token& stop);

  std::shared_ptr<LivePrompts> prompts_;
  Encode encode_;
  Taken taken_;
  int threads_, threads_before_;
  std::mutex mutex_;
  std::optional<std::pair<LivePrompts::Request, EncodedPrompt>> ready_;
  std::jthread thread_;
};

}  // namespace flashblock
