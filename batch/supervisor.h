// Gives a batch's videos to workers, and goes on whatever becomes of these.
#pragma once

#include <chrono>
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
#include "batch/worker_process.h"
#include "render/pace.h"

namespace flashblock {

struct SupervisorOptions {
  /// None: one for each GPU, one on the CPU. Range: 1 and up.
  std::optional<int64_t> workers;
  /// Further attempts after a crash, a hang or a lack of memory.
  int64_t retries = 1;
  /// A video hangs when it has got no further for this long. Unit: seconds.
  double block_seconds = 1800;
};

/// Renders the videos that have no fault and are not done. It is the only one that changes their records. Videos that
/// another run works on are waited for, and taken over if that run ends without them.
class Supervisor {
 public:
  /// `order`: positions of `videos` in the order in which they are to be rendered; others are left alone.
  Supervisor(const std::vector<BatchVideo>& videos, const std::vector<size_t>& order, const BatchFolder& folder,
             const SupervisorOptions& options);
  ~Supervisor();

  /// Called when a video has another state, and many times a second, on run()'s thread.
  std::function<void(size_t video)> on_state = [](size_t) {};
  std::function<void()> on_tick = [] {};
  /// Called when a video's record cannot be written: videos are rendered all the same.
  std::function<void(const std::string& problem)> on_unrecorded = [](const std::string&) {};

  /// Returns when all videos are done or failed. When `stop` is requested, workers finish what is to be kept, and run()
  /// returns within five seconds. Throws: MediaError if locks cannot be made; DeviceError if no worker can be started.
  void run(const std::stop_token& stop);

  /// One for each video.
  const std::vector<JobStatus>& records() const { return records_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Slot;

  void make_slots(const std::vector<size_t>& order);
  bool fits(size_t video, const Slot& slot) const;
  void look_elsewhere();
  std::optional<size_t> pick(const Slot& slot);
  void start_next(Slot& slot);
  bool take(Slot& slot, size_t video);
  void render(Slot& slot, size_t video);
  void poll_workers() const;
  void listen(Slot& slot);
  void hear(Slot& slot, const std::string& line);
  void watch_for_hang(Slot& slot);
  void bury(Slot& slot);
  void end_video(Slot& slot, JobState state, const std::optional<JobFault>& fault = {});
  void set_state(size_t video, JobState state);
  void keep_record(size_t video);
  void keep_missed_records();
  bool is_busy() const;

  const std::vector<BatchVideo>& videos_;
  const BatchFolder& folder_;
  SupervisorOptions options_;
  std::vector<JobStatus> records_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::deque<size_t> waiting_;     ///< to be rendered, in order
  std::vector<size_t> elsewhere_;  ///< locked by other runs
  std::set<size_t> unrecorded_;    ///< whose records could not be written
  Clock::time_point looked_;       ///< when locks of other runs were last tried
  int64_t begun_ms_;
  bool stopping_ = false;
};

}  // namespace flashblock
