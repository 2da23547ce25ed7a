// Signals as a request to stop.
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <stop_token>
#include <thread>

namespace flashblock {

/// While it exists, the first SIGINT or SIGTERM requests a stop instead of ending the program. If the work has not
/// stopped by the time limit, and this object is still alive, the program ends with status 130 or 143; that is safe
/// since files appear complete or not at all. A second signal ends the program at once. At most one object at a time.
class Interrupt {
 public:
  /// `last_words` is called with the signal, on a background thread, before the program is ended at the time limit.
  explicit Interrupt(std::function<void(int)> last_words = {});
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  /// The signal that came; 0: none.
  int signal() const;

  /// The time limit: kLong while there is work to finish. Any thread.
  enum class Patience {
    kNone,  ///< the program ends at once
    kLong,  ///< the program ends within 5 seconds
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

/// What `work`, which takes a stop token, returns. If that is nothing, a signal has stopped it: says so on standard
/// error, and sets the exit `status`.
template <typename Work>
auto run_until_interrupted(int& status, const Work& work) {
  const Interrupt interrupt;
  auto result = work(interrupt.token());
  if (result) return result;
  std::fputs("flashblock: interrupted; nothing was written\n", stderr);
  status = 128 + interrupt.signal();
  return result;
}

}  // namespace flashblock
