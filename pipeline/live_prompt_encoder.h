// Encodes the prompts of LivePrompts beside the render.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "pipeline/live_prompts.h"
#include "pipeline/prompt_source.h"

namespace flashblock {

/// Tokenizes and encodes each new sentence on a thread of its own, and gives it to the first frame block that starts
/// after that. Thread safety: at_block() is for one thread.
class LivePromptEncoder : public PromptSource {
 public:
  using Encode = std::function<EncodedPrompt(const std::string& text)>;
  /// Called on the thread of at_block(), before the prompt takes effect. What it throws, at_block() throws.
  using Taken = std::function<void(const TakenPrompt&, const EncodedPrompt&)>;

  /// `encode` runs with `threads` CPU threads, the number that prompts of the configuration are encoded with: sums are
  /// rounded by how they are divided among threads, and a prompt given late must be the prompt given early. What it
  /// throws refuses the prompt, and the video goes on.
  LivePromptEncoder(std::shared_ptr<LivePrompts> prompts, Encode encode, Taken taken, int threads);
  /// Ends the thread, once a sentence in work is encoded.
  ~LivePromptEncoder() override;
  LivePromptEncoder(const LivePromptEncoder&) = delete;
  LivePromptEncoder& operator=(const LivePromptEncoder&) = delete;

  std::optional<EncodedPrompt> at_block(int64_t block) override;

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
