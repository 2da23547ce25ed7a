#include "batch/worker_main.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <iostream>
#include <mutex>
#include <new>
#include <optional>
#include <thread>

#include "batch/job_preview.h"
#include "batch/job_status.h"
#include "core/error.h"
#include "core/error_report.h"
#include "render/render.h"

namespace flashblock {
namespace {

/// Standard output, reserved for events: what libraries print goes to standard error.
class EventOutput {
 public:
  EventOutput() : file_(dup(STDOUT_FILENO)) { dup2(STDERR_FILENO, STDOUT_FILENO); }

  void send(const WorkerEvent& event) {
    const std::string line = to_line(event);
    const std::lock_guard lock(mutex_);
    for (size_t sent = 0; sent < line.size();) {
      const ssize_t got = write(file_, line.data() + sent, line.size() - sent);
      if (got < 0 && errno != EINTR) _exit(1);  // the parent is gone
      if (got > 0) sent += static_cast<size_t>(got);
    }
  }

 private:
  int file_;
  std::mutex mutex_;
};

/// Lines of standard input, read on a separate thread so that the end of the input stops the video that is rendered.
class JobInput {
 public:
  JobInput() : reader_([this] { read(); }) {}
  ~JobInput() { reader_.join(); }  // the input has ended by then

  /// The next line; none when the input has ended.
  std::optional<std::string> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ || !lines_.empty(); });
    if (ended_) return {};
    std::string line = std::move(lines_.front());
    lines_.pop_front();
    return line;
  }
  std::stop_token stop() const { return stop_.get_token(); }

 private:
  void read() {
    for (std::string line; std::getline(std::cin, line);) {
      const std::lock_guard lock(mutex_);
      lines_.push_back(line);
      changed_.notify_one();
    }
    stop_.request_stop();
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> lines_;
  bool ended_ = false;
  std::stop_source stop_;
  std::thread reader_;
};

class EventObserver : public RenderObserver {
 public:
  EventObserver(EventOutput& output, const WorkerJob& job, const BlockHook& after_block)
      : output_(output), job_(job), after_block_(after_block) {}

  void stage(const std::string& name, const RenderProgress& so_far) override {
    stage_ = name;
    output_.send({.kind = WorkerEvent::Kind::kStage, .stage = stage_, .progress = so_far});
  }
  void progress(const RenderProgress& so_far) override {
    output_.send({.kind = WorkerEvent::Kind::kProgress, .stage = stage_, .progress = so_far});
    if (after_block_ && so_far.block > 0) after_block_(job_, so_far);
  }

 private:
  EventOutput& output_;
  const WorkerJob& job_;
  const BlockHook& after_block_;
  std::string stage_;
};

WorkerEvent render(const std::string& line, Renderer& renderer, EventOutput& output, const BlockHook& after_block,
                   const std::stop_token& stop) {
  try {
    const WorkerJob job = parse_worker_job(line);
    EventObserver observer(output, job, after_block);
    const RenderResult result =
        renderer.render(job.config, observer, stop, {.existing = ExistingFiles::kResumeOrReplace});
    if (result.outcome == RenderOutcome::kStopped) return {.kind = WorkerEvent::Kind::kStopped};
    write_video_preview(job.config.output, result.frames, job.preview);
    return {.kind = WorkerEvent::Kind::kDone, .progress = {.frames = result.frames}};
  } catch (...) {
    const ErrorReport error = report_error(std::current_exception());
    return {
        .kind = WorkerEvent::Kind::kFailed, .status = static_cast<int>(error.status), .message = job_error_line(error)};
  }
}

}  // namespace

int run_batch_worker(const BlockHook& after_block) {
  const pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a worker without its supervisor must not hold up the next run
  if (getppid() != parent) return 0;
  // Terminals and batch systems signal every process of the group; the supervisor decides, and closes our input.
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  EventOutput output;
  JobInput input;
  Renderer renderer;
  while (const auto line = input.next()) output.send(render(*line, renderer, output, after_block, input.stop()));
  return 0;
}

}  // namespace flashblock
