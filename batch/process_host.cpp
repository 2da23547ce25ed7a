#include "batch/process_host.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "core/device.h"
#include "core/error.h"
#include "core/file_descriptor.h"

extern char** environ;

namespace flashblock {
namespace {

constexpr size_t kErrorBytes = 4096;  // kept of standard error

[[noreturn]] void fail(int error) {
  throw DeviceError(std::string("cannot start a worker process: ") + std::strerror(error));
}

struct Pipe {
  FileDescriptor ours, theirs;
};

/// A socket pair, because a write to a dead process is then an error and no signal.
Pipe make_pipe() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail(errno);
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

/// NAME=VALUE that makes GPU `number` of those this process sees the only one that a worker sees.
std::string gpu_variable(int64_t number) {
  const char* given = std::getenv("CUDA_VISIBLE_DEVICES");
  std::istringstream list(given ? given : "");
  std::string entry = std::to_string(number);
  for (int64_t i = 0; given && i <= number; ++i) std::getline(list, entry, ',');
  return "CUDA_VISIBLE_DEVICES=" + entry;
}

/// This process's environment, with the variables that limit a worker to its share.
std::vector<std::string> environment_of(const WorkerShare& share) {
  std::vector<std::string> more;
  if (share.gpu >= 0) more.push_back(gpu_variable(share.gpu));
  if (share.threads > 0) more.push_back("OMP_NUM_THREADS=" + std::to_string(share.threads));
  std::vector<std::string> all = more;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('=') + 1);
    if (std::none_of(more.begin(), more.end(), [&](const std::string& own) { return own.starts_with(name); })) {
      all.push_back(text);
    }
  }
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

/// Reads without waiting; closes the descriptor at its end.
void drain(FileDescriptor& from, std::string& into) {
  char buffer[4096];
  while (from) {
    const ssize_t got = ::recv(from.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got > 0) {
      into.append(buffer, static_cast<size_t>(got));
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
      from.close();
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

/// A running `batch-worker`.
class WorkerProcess : public Worker {
 public:
  explicit WorkerProcess(const WorkerShare& share);
  ~WorkerProcess() override {
    kill();
    if (process_ > 0) wait();
  }
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  void send(const WorkerJob& job) override;
  void close_input() override { input_.close(); }
  std::vector<WorkerEvent> read_events() override;
  void kill() override {
    if (process_ > 0) ::kill(process_, SIGKILL);
  }
  std::vector<int> descriptors() const override { return {output_.get(), errors_.get()}; }

 private:
  int wait();
  std::string last_error_line() const;

  pid_t process_ = -1;
  FileDescriptor input_, output_, errors_;
  std::string unread_;  ///< output without an end of line yet
  std::string error_text_;
};

WorkerProcess::WorkerProcess(const WorkerShare& share) {
  Pipe input = make_pipe(), output = make_pipe(), errors = make_pipe();
  std::vector<std::string> words = {"flashblock", "batch-worker"};
  std::vector<std::string> variables = environment_of(share);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.theirs.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.theirs.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.theirs.get(), STDERR_FILENO);
  const int error =
      posix_spawn(&process_, "/proc/self/exe", &actions, nullptr, pointers(words).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail(error);
  input_ = std::move(input.ours);
  output_ = std::move(output.ours);
  errors_ = std::move(errors.ours);
}

void WorkerProcess::send(const WorkerJob& job) {
  const std::string text = to_line(job);
  for (size_t sent = 0; input_ && sent < text.size();) {
    const ssize_t got = ::send(input_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;  // it has died: read_events() will say so
    sent += static_cast<size_t>(got);
  }
}

std::vector<WorkerEvent> WorkerProcess::read_events() {
  drain(errors_, error_text_);
  if (error_text_.size() > kErrorBytes) error_text_.erase(0, error_text_.size() - kErrorBytes);
  drain(output_, unread_);
  std::vector<WorkerEvent> events;
  if (process_ <= 0) return events;
  for (size_t end; (end = unread_.find('\n')) != std::string::npos;) {
    events.push_back(parse_worker_event(unread_.substr(0, end)));
    unread_.erase(0, end + 1);
  }
  if (!output_) {
    const int status = wait();
    drain(errors_, error_text_);
    events.push_back({.kind = WorkerEvent::Kind::kExited, .status = status, .message = last_error_line()});
  }
  return events;
}

int WorkerProcess::wait() {
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

std::string WorkerProcess::last_error_line() const {
  const std::string text = error_text_.substr(0, error_text_.find_last_not_of(" \n") + 1);
  return text.substr(text.rfind('\n') + 1);  // npos + 1 is 0
}

}  // namespace

int64_t ProcessHost::gpus() const { return gpu_count(); }

std::unique_ptr<Worker> ProcessHost::start(const WorkerShare& share) { return std::make_unique<WorkerProcess>(share); }

void ProcessHost::wait(const std::vector<int>& descriptors, std::chrono::milliseconds limit) {
  std::vector<pollfd> files;
  for (const int descriptor : descriptors) files.push_back({.fd = descriptor, .events = POLLIN});  // poll skips -1
  ::poll(files.data(), files.size(), static_cast<int>(limit.count()));
}

}  // namespace flashblock
