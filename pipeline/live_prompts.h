// Prompts for a video that is being rendered: from any thread to the render, and what became of them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace flashblock {

/// A prompt that took effect while its video was rendered.
struct TakenPrompt {
  int64_t block = 0;  ///< the first frame block that shows it
  std::string text;
};

/// State of the live prompts of one video.
struct LivePromptState {
  std::optional<std::string> waiting;  ///< requested, not yet in effect
  std::vector<TakenPrompt> taken;      ///< by block
  std::string fault;                   ///< why the last prompt was refused; empty: it was not
};

/// Where a user changes the prompt of a video while it is rendered. The render takes a prompt at the first frame block
/// that starts once the prompt is encoded; it never waits for it. Thread safety: all members, from any thread.
class LivePrompts {
 public:
  /// Requests `prompt`. It replaces a prompt that is still waiting, which then never takes effect.
  void change_to(std::string prompt);

  LivePromptState state() const;

  // For the render.

  struct Request {
    int64_t number = 0;  ///< counts requests: a later one has a greater number
    std::string text;
  };
  /// Waits for a request after number `last`; none if `stop` is requested first.
  std::optional<Request> next(int64_t last, const std::stop_token& stop);
  /// Records that `request` takes effect at `block`. Returns false, and records nothing, if a newer one replaced it.
  bool take(const Request& request, int64_t block);
  /// Records that `request` cannot be used.
  void refuse(const Request& request, const std::string& why);

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Request> waiting_;
  int64_t requests_ = 0;
  std::vector<TakenPrompt> taken_;
  std::string fault_;
};

}  // namespace flashblock
