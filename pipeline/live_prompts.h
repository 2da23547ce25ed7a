// The next sentence of a video that is being rendered: from any thread to the render, and what became of it.
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

/// How far the changes of a video's prompt are.
struct LivePromptState {
  std::optional<std::string> waiting;  ///< asked for, not yet in a frame block
  std::vector<TakenPrompt> taken;      ///< by block
  std::string fault;                   ///< why the last prompt was refused; empty: it was not
};

/// Where a user says what one video shows next. The render takes it at the first frame block that starts once the
/// sentence is encoded; it never waits for it. Thread safety: all members may be called from any thread.
class LivePrompts {
 public:
  /// The video shows `prompt` next. A prompt that still waits is replaced: it never takes effect.
  void change_to(std::string prompt);

  LivePromptState state() const;

  // For the render.

  struct Request {
    int64_t number = 0;  ///< of requests so far: a later one has a greater number
    std::string text;
  };
  /// Waits for a request after number `last`; none if `stop` is requested first.
  std::optional<Request> next(int64_t last, const std::stop_token& stop);
  /// Notes that `request` takes effect at `block`. Returns false, and notes nothing, if a newer one has replaced it.
  bool take(const Request& request, int64_t block);
  /// Notes that `request` cannot be shown.
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
