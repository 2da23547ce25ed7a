// Workers that follow a script, on a clock that the test moves.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "batch/worker.h"
#include "core/error.h"

namespace flashblock::testing {

/// An event and the fake time between the job's start (or the request to stop) and it.
struct ScriptedEvent {
  double seconds = 0;
  WorkerEvent event;
};
using Script = std::vector<ScriptedEvent>;

inline ScriptedEvent block_at(double seconds, int64_t block) {
  return {seconds,
          {.kind = WorkerEvent::Kind::kProgress,
           .stage = "rendering",
           .progress = {.block = block, .blocks = 2, .frames = 9 * block}}};
}
inline ScriptedEvent done_at(double seconds) {
  return {seconds, {.kind = WorkerEvent::Kind::kDone, .progress = {.frames = 18}}};
}
inline ScriptedEvent stopped_at(double seconds) { return {seconds, {.kind = WorkerEvent::Kind::kStopped}}; }
inline ScriptedEvent failed_at(double seconds, ExitStatus status, const std::string& message) {
  return {seconds, {.kind = WorkerEvent::Kind::kFailed, .status = static_cast<int>(status), .message = message}};
}
inline ScriptedEvent exit_at(double seconds, int status, const std::string& error_line = "") {
  return {seconds, {.kind = WorkerEvent::Kind::kExited, .status = status, .message = error_line}};
}

/// A job as a worker received it.
struct ReceivedJob {
  int64_t worker = 0;  ///< how many workers were started before
  WorkerShare share;
  WorkerJob job;
  double seconds = 0;  ///< fake time since the host was made
};

class FakeHost : public WorkerHost {
 public:
  /// What a worker does with a job; by default it renders two frame blocks in one second.
  std::function<Script(const WorkerJob&)> script = [](const WorkerJob&) {
    return Script{block_at(0.4, 1), block_at(0.8, 2), done_at(1)};
  };
  /// What a worker does when it is asked to stop; by default it ignores that.
  Script stop_script;
  /// Called as the clock moves on.
  std::function<void(double seconds)> on_wait = [](double) {};
  int64_t gpu_count = 0;
  bool can_start = true;

  std::vector<ReceivedJob> jobs;
  std::vector<double> kills;  ///< fake times

  int64_t gpus() const override { return gpu_count; }
  std::unique_ptr<Worker> start(const WorkerShare& share) override;
  void wait(const std::vector<int>&, std::chrono::milliseconds limit) override {
    now_ += limit;
    if (seconds() > 3600) throw std::logic_error("the supervisor has not ended after an hour of fake time");
    on_wait(seconds());
  }
  TimePoint now() const override { return now_; }
  double seconds() const { return std::chrono::duration<double>(now_ - kStart).count(); }

  /// NAME or NAME/ATTEMPT of the jobs that the worker received, in order; attempts from the second on are shown.
  std::vector<std::string> jobs_of(int64_t worker) const {
    std::vector<std::string> names;
    for (const ReceivedJob& received : jobs) {
      if (received.worker == worker) names.push_back(label(received.job));
    }
    return names;
  }
  std::vector<std::string> all_jobs() const {
    std::vector<std::string> names;
    for (const ReceivedJob& received : jobs) names.push_back(label(received.job));
    return names;
  }

 private:
  static constexpr TimePoint kStart{std::chrono::hours(1)};
  static std::string label(const WorkerJob& job) {
    return job.attempt == 1 ? job.name : job.name + '/' + std::to_string(job.attempt);
  }

  TimePoint now_ = kStart;
  int64_t started_ = 0;
};

class FakeWorker : public Worker {
 public:
  FakeWorker(FakeHost& host, int64_t number, WorkerShare share) : host_(host), number_(number), share_(share) {}

  void send(const WorkerJob& job) override {
    host_.jobs.push_back({number_, share_, job, host_.seconds()});
    schedule(host_.script(job));
  }
  void close_input() override { schedule(host_.stop_script); }
  std::vector<WorkerEvent> read_events() override {
    std::vector<WorkerEvent> events;
    while (!events_.empty() && events_.front().seconds <= host_.seconds()) {
      events.push_back(events_.front().event);
      events_.pop_front();
    }
    return events;
  }
  void kill() override {
    if (std::exchange(killed_, true)) return;
    host_.kills.push_back(host_.seconds());
    events_ = {{host_.seconds(), exit_at(0, -9).event}};
  }
  std::vector<int> descriptors() const override { return {}; }

 private:
  void schedule(const Script& script) {
    if (script.empty()) return;
    events_.clear();
    for (const ScriptedEvent& step : script) events_.push_back({host_.seconds() + step.seconds - 1e-6, step.event});
  }

  FakeHost& host_;
  int64_t number_;
  WorkerShare share_;
  std::deque<ScriptedEvent> events_;  ///< with absolute times
  bool killed_ = false;
};

inline std::unique_ptr<Worker> FakeHost::start(const WorkerShare& share) {
  if (!can_start) throw DeviceError("cannot start a worker process: out of processes");
  return std::make_unique<FakeWorker>(*this, started_++, share);
}

}  // namespace flashblock::testing
