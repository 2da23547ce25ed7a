#include "batch/process_host.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <utility>

#include "core/child_process.h"
#include "core/device.h"
#include "core/file_descriptor.h"

namespace flashblock {
namespace {

constexpr size_t kErrorBytes = 4096;  // kept of standard error

/// NAME=VALUE that makes `count` GPUs from number `first` on, of those this process sees, the only ones that a worker
/// sees.
std::string gpu_variable(int64_t first, int64_t count) {
  const char* given = std::getenv("CUDA_VISIBLE_DEVICES");
  std::istringstream list(given ? given : "");
  std::string all;
  for (int64_t i = 0; i < first + count; ++i) {
    std::string entry = std::to_string(i);
    if (given) std::getline(list, entry, ',');
    if (i >= first) all += (all.empty() ? "" : ",") + entry;
  }
  return "CUDA_VISIBLE_DEVICES=" + all;
}

/// The variables that limit a worker to its share.
std::vector<std::string> variables_of(const WorkerShare& share) {
  std::vector<std::string> variables;
  if (share.gpu >= 0) variables.push_back(gpu_variable(share.gpu, share.gpus));
  if (share.threads > 0) variables.push_back("OMP_NUM_THREADS=" + std::to_string(share.threads));
  return variables;
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

  void send(const WorkerJob& job) override;
  void close_input() override { input_.close(); }
  std::vector<WorkerEvent> read_events() override;
  void kill() override { process_->kill(); }
  std::vector<int> descriptors() const override { return {output_.get(), errors_.get()}; }

 private:
  std::string last_error_line() const;

  std::optional<ChildProcess> process_;
  FileDescriptor input_, output_, errors_;
  std::string unread_;  ///< output without an end of line yet
  std::string error_text_;
};

WorkerProcess::WorkerProcess(const WorkerShare& share) {
  // Sockets, because a write to a dead process is then an error and no signal.
  auto [input, its_input] = socket_pair();
  auto [output, its_output] = socket_pair();
  auto [errors, its_errors] = socket_pair();
  process_.emplace(ChildOptions{
      .words = {"flashblock", "batch-worker"},
      .variables = variables_of(share),
      .descriptors = {
          {its_input.get(), STDIN_FILENO}, {its_output.get(), STDOUT_FILENO}, {its_errors.get(), STDERR_FILENO}}});
  input_ = std::move(input);
  output_ = std::move(output);
  errors_ = std::move(errors);
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
  if (process_->waited()) return events;
  for (size_t end; (end = unread_.find('\n')) != std::string::npos;) {
    events.push_back(parse_worker_event(unread_.substr(0, end)));
    unread_.erase(0, end + 1);
  }
  if (!output_) {
    const int status = process_->wait();
    drain(errors_, error_text_);
    events.push_back({.kind = WorkerEvent::Kind::kExited, .status = status, .message = last_error_line()});
  }
  return events;
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
  files.reserve(descriptors.size());
  for (const int descriptor : descriptors) files.push_back({.fd = descriptor, .events = POLLIN});  // poll skips -1
  ::poll(files.data(), files.size(), static_cast<int>(limit.count()));
}

}  // namespace flashblock
