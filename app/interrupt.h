// Interruption by the user or the system, as a request to stop.
#pragma once

#include <signal.h>

#include <stop_token>
#include <thread>

namespace flashblock {

/// While it lives, the first SIGINT or SIGTERM requests a stop instead of ending the program; a second one ends it as
/// always. At most one at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  /// The signal that came; 0: none.
  int signal() const;

 private:
  std::stop_source stop_;
  int pipe_[2] = {-1, -1};  // from the signal handler to the thread
  struct sigaction old_interrupt_ {
  }, old_terminate_{};
  std::thread thread_;
};

}  // namespace flashblock
