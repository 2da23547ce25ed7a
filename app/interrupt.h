// Interruption by the user or the system, as a request to stop.
#pragma once

#include <signal.h>

#include <atomic>
#include <functional>
#include <stop_token>
#include <thread>

namespace flashblock {

/// While it lives, the first SIGINT or SIGTERM requests a stop instead of ending the program. If the work that should
/// stop has not ended, and this object with it, when patience is over, the program ends all the same, with status 130
/// or 143: files that appear whole or not at all need no more. A second signal ends the program at once, as always.
/// At most one at a time.
class Interrupt {
 public:
  /// `last_words` is called with the signal before the program is ended for want of patience, on a thread of its own.
  explicit Interrupt(std::function<void(int)> last_words = {});
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  /// The signal that came; 0: none.
  int signal() const;

  /// Time for the work to stop: kLong while it has something to finish. Any thread.
  enum class Patience {
    kNone,  ///< nothing is in work that could be finished: the program ends at once
    kLong,  ///< the program has ended after 5 seconds
  };
  void set_patience(Patience patience) { patience_ = patience; }

 private:
  void watch();

  std::function<void(int)> last_words_;
  std::atomic<Patience> patience_{Patience::kLong};
  std::stop_source stop_;
  int pipe_[2] = {-1, -1};  // from the signal handler to the thread
  struct sigaction old_interrupt_ {
  }, old_terminate_{};
  std::thread thread_;
};

}  // namespace flashblock
