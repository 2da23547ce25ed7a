#include "batch/worker.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <iostream>
#include <mutex>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <thread>

#include "batch/job_preview.h"
#include "core/error.h"
#include "core/error_report.h"
#include "render/render.h"
#include "settings/config_file.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

/// Standard output, kept for the parent alone: what libraries print goes to standard error.
class Reports {
 public:
  Reports() : file_(dup(STDOUT_FILENO)) { dup2(STDERR_FILENO, STDOUT_FILENO); }

  void send(const Json& report) {
    const std::string line = report.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
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

/// What the parent asks for, read on a thread of its own.
class Orders {
 public:
  Orders() : reader_([this] { read(); }) {}
  ~Orders() { reader_.join(); }  // run_batch_worker ends after the input has

  /// The next video; none when the input has ended.
  std::optional<Json> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ || !videos_.empty(); });
    if (ended_) return {};
    Json video = std::move(videos_.front());
    videos_.pop_front();
    return video;
  }
  std::stop_token stop() const { return stop_.get_token(); }

 private:
  void read() {
    for (std::string line; std::getline(std::cin, line);) {
      const std::lock_guard lock(mutex_);
      videos_.push_back(Json::parse(line));
      changed_.notify_one();
    }
    stop_.request_stop();
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Json> videos_;
  bool ended_ = false;
  std::stop_source stop_;
  std::thread reader_;
};

/// The fault that a test wants of this video, if any; see run_batch_worker.
std::string wanted_fault(const std::string& name, int64_t attempt) {
  const char* variable = std::getenv("FLASHBLOCK_TEST_FAULT");
  std::istringstream list(variable ? variable : "");
  for (std::string entry; std::getline(list, entry, ',');) {
    std::istringstream words(entry);
    std::string kind, video, attempts;
    std::getline(words, kind, ':');
    std::getline(words, video, ':');
    std::getline(words, attempts);
    if (video == name && (attempts.empty() || attempt <= std::stoll(attempts))) return kind;
  }
  return {};
}

class ReportingObserver : public RenderObserver {
 public:
  ReportingObserver(Reports& reports, std::string fault) : reports_(reports), fault_(std::move(fault)) {}

  void stage(const std::string& name, const RenderProgress& so_far) override {
    stage_ = name;
    send("stage", so_far);
  }
  void progress(const RenderProgress& so_far) override {
    send("progress", so_far);
    if (so_far.block > 0) cause_fault();
  }

 private:
  void send(const char* event, const RenderProgress& so_far) {
    reports_.send({{"event", event},
                   {"stage", stage_},
                   {"block", so_far.block},
                   {"blocks", so_far.blocks},
                   {"frames", so_far.frames}});
  }
  void cause_fault() const {
    if (fault_ == "crash") {
      signal(SIGSEGV, SIG_DFL);  // sanitizers have a handler, which exits
      raise(SIGSEGV);
    }
    if (fault_ == "memory") throw std::bad_alloc();
    while (fault_ == "hang") pause();
  }

  Reports& reports_;
  std::string fault_;
  std::string stage_;
};

void render(const Json& order, Renderer& renderer, Reports& reports, const std::stop_token& stop) {
  try {
    const RenderConfig config = resolve_config({make_config_layer("the job", order.at("configuration"))});
    ReportingObserver observer(reports, wanted_fault(order.at("name"), order.at("attempt")));
    const RenderResult result = renderer.render(config, observer, stop, {.existing = ExistingFiles::kResumeOrReplace});
    if (result.outcome == RenderOutcome::kStopped) return reports.send({{"event", "stopped"}});
    write_video_preview(config.output, result.frames, order.at("preview").get<std::string>());
    reports.send({{"event", "done"}, {"frames", result.frames}});
  } catch (...) {
    const ErrorReport fault = report_error(std::current_exception());
    reports.send({{"event", "failed"}, {"status", static_cast<int>(fault.status)}, {"message", fault.line}});
  }
}

}  // namespace

int run_batch_worker() {
  const pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody else would take the videos, and none must be made twice
  if (getppid() != parent) return 0;
  // A terminal and a batch system signal all processes: the parent decides, and says so by closing our input.
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  Reports reports;
  Orders orders;
  Renderer renderer;
  while (const auto order = orders.next()) render(*order, renderer, reports, orders.stop());
  return 0;
}

}  // namespace flashblock
