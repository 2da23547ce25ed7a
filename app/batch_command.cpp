#include "app/batch_command.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "app/interrupt.h"
#include "batch/batch_report.h"
#include "batch/job_check.h"
#include "core/error.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

constexpr int kUnfinished = 6;  // exit status of --status: not all videos are done, none has failed

/// The shard's videos, in the order of rendering: a shard is a run of them, so that it loads few models.
std::vector<size_t> videos_of_shard(const std::vector<BatchVideo>& videos, const Shard& shard) {
  const std::vector<size_t> order = render_order(videos);
  const auto count = static_cast<int64_t>(order.size());
  return {order.begin() + count * (shard.index - 1) / shard.count, order.begin() + count * shard.index / shard.count};
}

/// A video that might be made by another try, or elsewhere, decides: scripts can tell that from faults that stay.
int status_of(const std::vector<JobStatus>& records, const std::vector<size_t>& shown) {
  int status = 0;
  for (const size_t video : shown) {
    const JobStatus& record = records[video];
    if (record.state == JobState::kDone) continue;
    const int own = record.fault ? record.fault->status : kUnfinished;
    const bool passing = own == static_cast<int>(ExitStatus::kDevice);
    if (passing || status == 0 || status == kUnfinished) status = own;
    if (passing) break;
  }
  return status;
}

int print_status(const BatchRequest& request) {
  const std::vector<BatchVideo> videos = read_jobs_file(request.jobs_file);
  const BatchFolder folder(request.jobs_file);
  std::vector<JobStatus> records;
  std::vector<size_t> shown;
  for (size_t i = 0; i < videos.size(); ++i) {
    shown.push_back(i);
    records.push_back(folder.read(videos[i].name));
    if (records[i].state == JobState::kDone && !fs::exists(records[i].output)) records[i] = {};
    if (videos[i].fault) {
      records[i].state = JobState::kFailed;
      records[i].fault = videos[i].fault;
    }
  }
  std::cout << board_table(videos, records, shown);
  return status_of(records, shown);
}

int print_check(const std::vector<BatchVideo>& videos, const std::vector<size_t>& shown) {
  std::vector<JobStatus> records(videos.size());
  for (const size_t video : shown) {
    if (videos[video].fault) {
      records[video].state = JobState::kFailed;
      records[video].fault = videos[video].fault;
      std::cerr << "flashblock: error: " << videos[video].fault->message << '\n';
    } else {
      std::cout << videos[video].name << '\t' << videos[video].config.output.string() << '\n';
      records[video].state = JobState::kDone;
    }
  }
  return status_of(records, shown);
}

/// Records the faults that were found before anything was rendered, and leaves the videos that can be rendered.
std::vector<size_t> sort_out(const std::vector<BatchVideo>& videos, const std::vector<size_t>& order,
                             const BatchFolder& folder) {
  std::vector<size_t> sound;
  for (const size_t video : order) {
    if (!videos[video].fault) {
      sound.push_back(video);
      continue;
    }
    std::cerr << "flashblock: error: " << videos[video].fault->message << '\n';
    const auto lock = FileLock::take(folder.lock_file(videos[video].name));
    JobStatus record{.state = JobState::kFailed, .fault = videos[video].fault, .begun = utc_now(), .ended = utc_now()};
    record.changed_ms = now_ms();
    if (lock) folder.write(videos[video].name, record);
  }
  return sound;
}

int run(const BatchRequest& request, const std::vector<BatchVideo>& videos, const std::vector<size_t>& order) {
  std::vector<size_t> shown = order;
  std::sort(shown.begin(), shown.end());
  const BatchFolder folder(request.jobs_file);
  const fs::path beside = fs::absolute(request.jobs_file).lexically_normal().parent_path() / "report.json";
  Reporter reporter(request.jobs_file, request.report.empty() ? beside : fs::absolute(request.report), videos, folder);
  folder.create();
  Supervisor supervisor(videos, sort_out(videos, order, folder), folder, request.supervisor);
  int signal = 0;
  {
    const auto board =
        make_board(request.quiet ? BoardStyle::kNone : request.board, videos, supervisor.records(), shown);
    const Interrupt interrupt;
    supervisor.on_state = [&](size_t video) {
      board->state_changed(video);
      reporter.changed();
    };
    bool warned = false;
    const auto warn = [&](const std::string& problem) {
      if (!std::exchange(warned, true)) {
        board->warn(problem + " (videos are rendered; --status and the report wait)");
      }
    };
    supervisor.on_unrecorded = warn;
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
  if (!request.quiet) std::cout << board_table(videos, supervisor.records(), shown);
  reporter.write();
  if (!request.quiet) std::cout << "report: " << reporter.page().string() << '\n';
  const int status = status_of(supervisor.records(), shown);
  if (signal == 0 || status == 0) return status;  // a signal that comes when all is done interrupts nothing
  std::cerr << "flashblock: interrupted; finished frame blocks are kept, and the same command goes on from them\n";
  return 128 + signal;
}

}  // namespace

int run_batch(const BatchRequest& request) {
  if (request.action == BatchRequest::Action::kStatus) return print_status(request);
  std::vector<BatchVideo> videos = read_jobs_file(request.jobs_file);
  check_videos(videos);
  const std::vector<size_t> order = videos_of_shard(videos, request.shard);
  if (request.action == BatchRequest::Action::kCheck) return print_check(videos, order);
  return run(request, videos, order);
}

}  // namespace flashblock
