#include "app/interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace flashblock {
namespace {

// A signal handler can reach nothing but globals.
std::atomic<int> g_signal{0};
std::atomic<int> g_pipe{-1};

void handle(int signal) {
  const int saved = errno;
  g_signal = signal;
  const char byte = 1;
  [[maybe_unused]] const ssize_t written = write(g_pipe, &byte, 1);
  errno = saved;
}

}  // namespace

Interrupt::Interrupt() {
  if (pipe2(pipe_, O_CLOEXEC) != 0) throw DeviceError(std::string("cannot open a pipe: ") + std::strerror(errno));
  g_signal = 0;
  g_pipe = pipe_[1];
  thread_ = std::thread([this] {
    char byte = 0;
    while (read(pipe_[0], &byte, 1) < 0 && errno == EINTR) {
    }
    if (byte == 1) stop_.request_stop();
  });
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);  // the second signal ends the program
  sigaction(SIGINT, &action, &old_interrupt_);
  sigaction(SIGTERM, &action, &old_terminate_);
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
