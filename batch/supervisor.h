// Distributes a batch's videos to workers, and keeps going when a video or a worker fails.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "batch/batch_folder.h"
#include "batch/job_status.h"
#include "batch/jobs_file.h"
#include "batch/worker.h"

namespace flashblock {

struct SupervisorOptions {
  /// None: one per GPU, or one on the CPU. Range: 1 and up.
  std::optional<int64_t> workers;
  /// Further attempts after a crash, a hang or a lack of memory.
  int64_t retries = 1;
  /// A worker that reports nothing for this long hangs. Unit: seconds.
  double block_seconds = 1800;
};

/// Renders the videos that have no fault and are not done, and writes their job statuses. It waits for videos that
/// another run has locked, and renders them if that run ends without finishing them.
class Supervisor {
 public:
  /// `order`: positions in `videos`, in rendering order; videos that are not in it are left alone. `videos`, `folder`
  /// and `host` outlive the supervisor.
  Supervisor(const std::vector<BatchVideo>& videos, const std::vector<size_t>& order, const BatchFolder& folder,
             const SupervisorOptions& options, WorkerHost& host);
  ~Supervisor();

  /// Called on run()'s thread: when a video changes its state, and several times a second.
  std::function<void(size_t video)> on_state = [](size_t) {};
  std::function<void()> on_tick = [] {};
  /// Called when a status cannot be written, which does not stop the rendering.
  std::function<void(const std::string& problem)> on_unsaved = [](const std::string&) {};

  /// Why no worker can render a video; nothing if one can.
  std::optional<JobFault> placing_fault(size_t video) const;

  /// Returns when all videos are done or failed. When `stop` is requested, workers write their finished frame blocks,
  /// and run() returns within five seconds. Throws: MediaError if a lock file cannot be created; DeviceError if a
  /// worker cannot be started.
  void run(const std::stop_token& stop);

  /// One per video.
  const std::vector<JobStatus>& statuses() const { return statuses_; }

 private:
  using TimePoint = WorkerHost::TimePoint;
  struct Slot;

  void make_slots(const std::vector<size_t>& order);
  bool can_run(size_t video, const Slot& slot) const;
  void fail_videos_without_slot();

  void ask_workers_to_stop();
  void start_videos();
  bool is_finished() const;
  void wait_for_events() const;

  std::optional<size_t> next_video(const Slot& slot);
  bool claim(Slot& slot, size_t video);
  bool is_settled(size_t video, const JobStatus& saved);
  void start(Slot& slot, size_t video);

  void handle_events(Slot& slot);
  void handle_event(Slot& slot, const WorkerEvent& event);
  void update_progress(Slot& slot, const WorkerEvent& event);
  void handle_exit(Slot& slot, const WorkerEvent& exit);
  void kill_overdue_worker(Slot& slot) const;
  void end_video(Slot& slot, JobState state, const std::optional<JobFault>& fault = {});

  void set_state(size_t video, JobState state);
  void save_status(size_t video);
  void save_missed_statuses();

  const std::vector<BatchVideo>& videos_;
  const BatchFolder& folder_;
  SupervisorOptions options_;
  WorkerHost& host_;
  std::vector<JobStatus> statuses_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::deque<size_t> waiting_;          ///< to be rendered, in order
  std::vector<size_t> locked_;          ///< locked by other runs
  TimePoint locks_tried_;               ///< when the locks of other runs were last tried
  std::set<size_t> unsaved_;            ///< videos whose status could not be written
  int64_t started_ms_;                  ///< when this run started, milliseconds since 1970
  std::optional<TimePoint> stop_time_;  ///< when the workers were asked to stop
};

}  // namespace flashblock
