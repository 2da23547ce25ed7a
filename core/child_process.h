// The running executable, started again as another process.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "core/file_descriptor.h"

namespace flashblock {

/// Two connected stream sockets, which other programs do not inherit. A write to one whose other end is closed is an
/// error and, sent with MSG_NOSIGNAL, no signal. Throws: DeviceError.
std::pair<FileDescriptor, FileDescriptor> socket_pair();

/// How a process is started.
struct ChildOptions {
  std::vector<std::string> words;      ///< argv, the program's name first
  std::vector<std::string> variables;  ///< NAME=VALUE, besides those of this process or in place of them
  /// Descriptors of this process that it gets, and their numbers there; the same number is possible.
  std::vector<std::pair<int, int>> descriptors;
};

/// A process. The destructor kills it, if it still runs, and waits for its end. Thread safety: none.
class ChildProcess {
 public:
  /// Throws: DeviceError if it cannot be started.
  explicit ChildProcess(const ChildOptions& options);
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept : process_(std::exchange(other.process_, -1)) {}
  ChildProcess& operator=(ChildProcess&&) = delete;

  bool waited() const { return process_ <= 0; }  ///< wait() has returned
  void kill();
  /// Waits for its end: the exit status, or minus the signal that ended it. Requires: not waited().
  int wait();

 private:
  pid_t process_ = -1;
};

}  // namespace flashblock
