#include "app/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace flashblock {
namespace {

constexpr int kPatienceMs = 4500;  // of 5 s: the rest is for the exit of the process

// A signal handler can reach nothing but globals.
std::atomic<int> g_signal{0};
std::atomic<int> g_pipe{-1};

void handle(int signal) {
  const int saved = errno;
  if (g_signal.exchange(signal) != 0) {  // the second one
    ::signal(signal, SIG_DFL);
    raise(signal);
    return;
  }
  const char byte = 1;
  [[maybe_unused]] const ssize_t written = write(g_pipe, &byte, 1);
  errno = saved;
}

/// The next byte of the pipe; 0 if it is closed, -1 if none comes in time. -1 ms: no limit.
int next_byte(int pipe, int limit_ms) {
  pollfd wanted{.fd = pipe, .events = POLLIN, .revents = 0};
  int ready = 0;
  do ready = poll(&wanted, 1, limit_ms);
  while (ready < 0 && errno == EINTR);
  if (ready == 0) return -1;
  char byte = 0;
  ssize_t count = 0;
  do count = read(pipe, &byte, 1);
  while (count < 0 && errno == EINTR);
  return count == 1 ? byte : 0;
}

}  // namespace

Interrupt::Interrupt(std::function<void(int)> last_words) : last_words_(std::move(last_words)) {
  if (pipe2(pipe_, O_CLOEXEC) != 0) throw DeviceError(std::string("cannot open a pipe: ") + std::strerror(errno));
  g_signal = 0;
  g_pipe = pipe_[1];
  thread_ = std::thread([this] { watch(); });
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &old_interrupt_);
  sigaction(SIGTERM, &action, &old_terminate_);
}

void Interrupt::watch() {
  if (next_byte(pipe_[0], -1) != 1) return;
  stop_.request_stop();
  const int limit_ms = patience_ == Patience::kLong ? kPatienceMs : 0;
  if (next_byte(pipe_[0], limit_ms) >= 0) return;  // the work has ended
  if (last_words_) last_words_(g_signal);
  _exit(128 + g_signal);
}

Interrupt::~Interrupt() {
  sigaction(SIGINT, &old_interrupt_, nullptr);
  sigaction(SIGTERM, &old_terminate_, nullptr);
  g_pipe = -1;
  const char end = 0;
  [[maybe_unused]] const ssize_t written = write(pipe_[1], &end, 1);
  thread_.join();
  close(pipe_[0]);
  close(pipe_[1]);
}

int Interrupt::signal() const { return g_signal; }

}  // namespace flashblock
