// A worker as its parent sees it: a process that takes and gives lines.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/file_descriptor.h"

namespace flashblock {

/// A running `flashblock batch-worker`. It ends with its parent, however that ends. Thread safety: none.
class WorkerProcess {
 public:
  /// `environment`: NAME=VALUE, on top of this process's own. Throws: DeviceError if it cannot be started.
  explicit WorkerProcess(const std::vector<std::string>& environment);
  /// Kills it if it still runs.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  /// Gives it a line; one that has died takes none.
  void send(const std::string& line);
  /// Tells it that nothing more comes: it finishes what is to be kept and ends.
  void close_input();

  /// To be polled: output, and errors.
  int output() const { return output_.get(); }
  int errors() const { return errors_.get(); }
  /// Whole lines that have come since the last call. Does not wait.
  std::vector<std::string> read_lines();
  /// True once all output has been read and no more can come.
  bool is_silent() const { return !output_; }

  void kill();
  /// Waits for its end and tells how it ended: an exit status, or minus the signal.
  int wait();
  /// The end of what it wrote to standard error, as one line.
  std::string last_words();

 private:
  void read_errors();

  pid_t process_ = -1;
  FileDescriptor input_, output_, errors_;
  std::string waiting_;  ///< output without an end of line yet
  std::string error_text_;
};

}  // namespace flashblock
