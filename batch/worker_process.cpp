#include "batch/worker_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/error.h"

extern char** environ;

namespace flashblock {
namespace {

constexpr size_t kErrorText = 4096;  // bytes kept of standard error

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

std::vector<std::string> merged_environment(const std::vector<std::string>& more) {
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

/// Reads what is there; closes the descriptor at its end.
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

}  // namespace

WorkerProcess::WorkerProcess(const std::vector<std::string>& environment) {
  Pipe input = make_pipe(), output = make_pipe(), errors = make_pipe();
  std::vector<std::string> words = {"flashblock", "batch-worker"};
  std::vector<std::string> variables = merged_environment(environment);
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

WorkerProcess::~WorkerProcess() {
  if (process_ <= 0) return;
  kill();
  wait();
}

void WorkerProcess::send(const std::string& line) {
  const std::string text = line + "\n";
  for (size_t sent = 0; input_ && sent < text.size();) {
    const ssize_t got = ::send(input_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;  // it has died, and its end will be seen
    sent += static_cast<size_t>(got);
  }
}

void WorkerProcess::close_input() { input_.close(); }

std::vector<std::string> WorkerProcess::read_lines() {
  read_errors();
  drain(output_, waiting_);
  std::vector<std::string> lines;
  for (size_t end; (end = waiting_.find('\n')) != std::string::npos;) {
    lines.push_back(waiting_.substr(0, end));
    waiting_.erase(0, end + 1);
  }
  return lines;
}

void WorkerProcess::kill() {
  if (process_ > 0) ::kill(process_, SIGKILL);
}

int WorkerProcess::wait() {
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

std::string WorkerProcess::last_words() {
  read_errors();
  std::string text = error_text_;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  const size_t last_line = text.rfind('\n');
  return last_line == std::string::npos ? text : text.substr(last_line + 1);
}

void WorkerProcess::read_errors() {
  drain(errors_, error_text_);
  if (error_text_.size() > kErrorText) error_text_.erase(0, error_text_.size() - kErrorText);
}

}  // namespace flashblock
