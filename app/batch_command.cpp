#include "app/batch_command.h"

#include <algorithm>
#include <iostream>
#include <set>
#include <utility>

#include "app/interrupt.h"
#include "batch/batch_report.h"
#include "batch/job_check.h"
#include "batch/process_host.h"
#include "core/error.h"

namespace flashblock {
namespace {

constexpr int kUnfinished = 6;  // exit status of --status: not all videos are done, none has failed

/// The shard's videos, in rendering order. A shard is a contiguous part, so that it loads few models.
std::vector<size_t> videos_of_shard(const std::vector<BatchVideo>& videos, const Shard& shard) {
  const std::vector<size_t> order = render_order(videos);
  const auto count = static_cast<int64_t>(order.size());
  return {order.begin() + count * (shard.index - 1) / shard.count, order.begin() + count * shard.index / shard.count};
}

JobStatus failed_status(const JobFault& fault) { return {.state = JobState::kFailed, .fault = fault}; }

/// Temporary failures take precedence, so that scripts know when another attempt may succeed.
int exit_status_of(const std::vector<JobStatus>& statuses, const std::vector<size_t>& shown) {
  constexpr int kTemporary = static_cast<int>(ExitStatus::kDevice);
  int result = 0;
  for (const size_t video : shown) {
    const JobStatus& status = statuses[video];
    if (status.state == JobState::kDone) continue;
    const int own = status.fault ? status.fault->status : kUnfinished;
    if (own == kTemporary) return own;
    if (result == 0 || result == kUnfinished) result = own;
  }
  return result;
}

int print_status(const BatchRequest& request) {
  std::vector<BatchVideo> videos = read_jobs_file(request.jobs_file);
  check_videos(videos);
  const BatchFolder folder(request.jobs_file);
  std::vector<JobStatus> statuses;
  std::vector<size_t> shown;
  for (const BatchVideo& video : videos) {
    shown.push_back(shown.size());
    statuses.push_back(current_status(video, folder.read(video.name)));
  }
  std::cout << board_table(videos, statuses, shown);
  return exit_status_of(statuses, shown);
}

/// Prints faults. One that many videos share, because it is in their job, is printed once.
class FaultPrinter {
 public:
  void print(const JobFault& fault) {
    print_once(fault.message);
    for (const std::string& message : fault.more) print_once(message);
  }

 private:
  void print_once(const std::string& message) {
    if (printed_.insert(message).second) std::cerr << "flashblock: error: " << message << '\n';
  }

  std::set<std::string> printed_;
};

int print_check(const BatchRequest& request, const std::vector<BatchVideo>& videos, const std::vector<size_t>& shown) {
  const BatchFolder folder(request.jobs_file);
  const Reporter reporter(request.jobs_file, request.report, videos, folder);
  folder.check();
  ProcessHost host;
  const Supervisor supervisor(videos, shown, folder, request.supervisor, host);
  std::vector<JobStatus> statuses(videos.size());
  FaultPrinter printer;
  for (const size_t video : shown) {
    const auto fault = videos[video].fault ? videos[video].fault : supervisor.placing_fault(video);
    for (const std::string& warning : videos[video].warnings)
      if (!request.quiet) std::cerr << "flashblock: warning: " << videos[video].name << ": " << warning << '\n';
    if (fault) {
      statuses[video] = failed_status(*fault);
      printer.print(*fault);
    } else {
      std::cout << videos[video].name << '\t' << videos[video].config.output.string() << '\n';
      statuses[video].state = JobState::kDone;
    }
  }
  return exit_status_of(statuses, shown);
}

void save(const BatchFolder& folder, const std::string& video, JobStatus status) {
  status.changed_ms = now_ms();
  if (const auto lock = FileLock::take(folder.lock_file(video))) folder.write(video, status);
}

/// Corrects saved statuses, of other shards too: videos that are no longer done, or done already.
void correct_statuses(const std::vector<BatchVideo>& videos, const BatchFolder& folder) {
  for (const BatchVideo& video : videos) {
    const JobStatus saved = folder.read(video.name), now = current_status(video, saved);
    if (!video.fault && now.state != saved.state) save(folder, video.name, now);
  }
}

/// Reports and saves the faults that were found before rendering. Returns the videos that can be rendered.
std::vector<size_t> report_faults(const std::vector<BatchVideo>& videos, const std::vector<size_t>& order,
                                  const BatchFolder& folder) {
  std::vector<size_t> renderable;
  FaultPrinter printer;
  for (const size_t video : order) {
    if (!videos[video].fault) {
      renderable.push_back(video);
      continue;
    }
    printer.print(*videos[video].fault);
    JobStatus status = failed_status(*videos[video].fault);
    status.started = status.ended = utc_now();
    save(folder, videos[video].name, status);
  }
  return renderable;
}

/// The options that help against what went wrong.
void print_hints(const std::vector<JobStatus>& statuses, const std::vector<size_t>& shown) {
  const bool hang = std::any_of(shown.begin(), shown.end(), [&](size_t video) {
    return statuses[video].fault && statuses[video].fault->kind == "hang";
  });
  if (hang) std::cerr << "flashblock: a video hung; --block-timeout sets how long a frame block may take\n";
}

int run(const BatchRequest& request, const std::vector<BatchVideo>& videos, const std::vector<size_t>& order) {
  std::vector<size_t> shown = order;
  std::sort(shown.begin(), shown.end());
  const BatchFolder folder(request.jobs_file);
  Reporter reporter(request.jobs_file, request.report, videos, folder);
  folder.create();
  correct_statuses(videos, folder);
  ProcessHost host;
  Supervisor supervisor(videos, report_faults(videos, order, folder), folder, request.supervisor, host);
  int signal = 0;
  {
    const auto board =
        make_board(request.quiet ? BoardStyle::kNone : request.board, videos, supervisor.statuses(), shown);
    for (const size_t video : shown)
      for (const std::string& warning : videos[video].warnings)
        if (!request.quiet) board->warn(videos[video].name + ": " + warning);
    const Interrupt interrupt;
    supervisor.on_state = [&](size_t video) {
      board->state_changed(video);
      reporter.changed();
    };
    bool warned = false;
    const auto warn = [&](const std::string& problem) {
      if (!std::exchange(warned, true)) {
        board->warn(problem + " (rendering continues; --status and the report may be out of date)");
      }
    };
    supervisor.on_unsaved = warn;
    supervisor.on_tick = [&] {
      board->tick();
      try {
        reporter.write_in_passing();
      } catch (const MediaError& error) {
        warn(error.what());
      }
    };
    supervisor.run(interrupt.token());
    signal = interrupt.signal();
  }
  if (!request.quiet) std::cout << board_table(videos, supervisor.statuses(), shown);
  reporter.write();
  if (!request.quiet) std::cout << "report: " << reporter.page().string() << '\n';
  print_hints(supervisor.statuses(), shown);
  const int status = exit_status_of(supervisor.statuses(), shown);
  if (signal == 0 || status == 0) return status;  // a signal after the last video interrupts nothing
  std::cerr << "flashblock: interrupted; finished frame blocks are kept, and the same command resumes from them\n";
  return 128 + signal;
}

}  // namespace

int run_batch(const BatchRequest& request) {
  if (request.action == BatchRequest::Action::kStatus) return print_status(request);
  std::vector<BatchVideo> videos = read_jobs_file(request.jobs_file);
  check_videos(videos);
  const std::vector<size_t> order = videos_of_shard(videos, request.shard);
  if (request.action == BatchRequest::Action::kCheck) return print_check(request, videos, order);
  return run(request, videos, order);
}

}  // namespace flashblock
