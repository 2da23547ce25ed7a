#include "batch/supervisor.h"

#include <signal.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <sstream>
#include <thread>
#include <utility>

#include "batch/job_check.h"
#include "core/error.h"
#include "render/pace.h"
#include "settings/config_identity.h"

namespace flashblock {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr std::chrono::milliseconds kTick{200};  // between two rounds of the supervisor
constexpr Seconds kStopSeconds{3.0};             // for workers to stop; the program has 5
constexpr Seconds kSaveSeconds{1.0};             // between two saved statuses of a running video
constexpr Seconds kLockSeconds{1.0};             // between two attempts at the locks of other runs

/// The GPU that a video asks for; none: any.
std::optional<int64_t> requested_gpu(const RenderConfig& config) {
  if (config.device.rfind("cuda:", 0) != 0) return {};
  return std::stoll(config.device.substr(5));
}

std::string exit_text(int status) {
  if (status >= 0) return "the worker exited with status " + std::to_string(status);
  std::string text = "the worker was killed by signal " + std::to_string(-status) + " (" + strsignal(-status) + ")";
  if (status == -SIGKILL) text += ", probably because memory ran out";
  return text;
}

/// Whether another attempt may succeed.
bool is_transient(const JobFault& fault) {
  return fault.kind == "crash" || fault.kind == "hang" || fault.kind == "memory";
}

}  // namespace

/// A place for one worker at a time.
struct Supervisor::Slot {
  WorkerShare share;
  std::unique_ptr<Worker> worker;
  std::string model_key;  ///< of the model that the worker has loaded
  std::optional<size_t> video;
  std::optional<FileLock> lock;  ///< the video's
  TimePoint started, last_event, last_saved;
  bool hangs = false;  ///< killed because it reported nothing
  RenderPace pace;
};

Supervisor::Supervisor(const std::vector<BatchVideo>& videos, const std::vector<size_t>& order,
                       const BatchFolder& folder, const SupervisorOptions& options, WorkerHost& host)
    : videos_(videos),
      folder_(folder),
      options_(options),
      host_(host),
      statuses_(videos.size()),
      waiting_(order.begin(), order.end()),
      started_ms_(now_ms()) {
  for (size_t i = 0; i < videos.size(); ++i) {
    statuses_[i] = folder.read(videos[i].name);
    statuses_[i].output = videos[i].config.output.string();
    if (statuses_[i].blocks == 0) statuses_[i].blocks = videos[i].blocks;
  }
  for (const size_t video : order) {  // what failed in an earlier run is tried again
    if (statuses_[video].state == JobState::kFailed) statuses_[video].state = JobState::kWaiting;
  }
  make_slots(order);
}

Supervisor::~Supervisor() = default;

void Supervisor::make_slots(const std::vector<size_t>& order) {
  const int64_t gpus = host_.gpus();
  const bool on_gpus = gpus > 0 && std::any_of(order.begin(), order.end(),
                                               [&](size_t video) { return videos_[video].config.device != "cpu"; });
  int64_t per_video = 1;  // GPUs
  for (const size_t video : order) per_video = std::max(per_video, videos_[video].config.devices_per_video);
  const int64_t groups = std::max<int64_t>(1, gpus / per_video);
  const int64_t count = options_.workers.value_or(on_gpus ? groups : 1);
  const int64_t cores = std::max(1U, std::thread::hardware_concurrency());
  for (int64_t i = 0; i < count; ++i) {
    auto slot = std::make_unique<Slot>();
    if (on_gpus) {
      slot->share.gpu = i % groups * per_video;
      slot->share.gpus = std::min(per_video, gpus);
    } else if (count > 1) {
      slot->share.threads = std::max<int64_t>(1, cores / count);
    }
    slots_.push_back(std::move(slot));
  }
}

bool Supervisor::can_run(size_t video, const Slot& slot) const {
  const RenderConfig& config = videos_[video].config;
  if (slot.share.gpu < 0) return true;
  if (config.device == "cpu") return &slot == slots_.front().get();  // several would compete for the cores
  const auto gpu = requested_gpu(config);
  return !gpu || *gpu == slot.share.gpu;  // the first of several: devices_per_video
}

std::optional<JobFault> Supervisor::placing_fault(size_t video) const {
  const auto fits = [&](const auto& slot) { return can_run(video, *slot); };
  if (std::any_of(slots_.begin(), slots_.end(), fits)) return {};
  return fault_at(videos_[video].place, ExitStatus::kDevice,
                  "found device " + videos_[video].config.device + ", which none of the " +
                      std::to_string(slots_.size()) + " workers uses; wanted device: auto, or more workers");
}

void Supervisor::fail_videos_without_slot() {
  std::erase_if(waiting_, [&](size_t video) {
    const auto fault = placing_fault(video);
    if (!fault) return false;
    statuses_[video].fault = fault;
    set_state(video, JobState::kFailed);
    return true;
  });
}

void Supervisor::run(const std::stop_token& stop) {
  fail_videos_without_slot();
  for (;;) {
    if (stop.stop_requested() && !stop_time_) ask_workers_to_stop();
    if (!stop_time_) start_videos();
    on_tick();
    if (is_finished()) break;
    wait_for_events();
    for (const auto& slot : slots_) {
      handle_events(*slot);
      kill_overdue_worker(*slot);
    }
  }
  save_missed_statuses();
}

void Supervisor::ask_workers_to_stop() {
  stop_time_ = host_.now();
  for (const auto& slot : slots_) {
    if (slot->worker) slot->worker->close_input();
  }
}

void Supervisor::start_videos() {
  if (!locked_.empty() && host_.now() - locks_tried_ >= kLockSeconds) {
    locks_tried_ = host_.now();
    for (const size_t video : std::exchange(locked_, {})) waiting_.push_back(video);
  }
  for (const auto& slot : slots_) {
    while (!slot->video) {
      const auto video = next_video(*slot);
      if (!video) break;
      if (claim(*slot, *video)) start(*slot, *video);
    }
  }
}

bool Supervisor::is_finished() const {
  const bool busy = std::any_of(slots_.begin(), slots_.end(), [](const auto& slot) { return slot->video.has_value(); });
  return !busy && (stop_time_ || (waiting_.empty() && locked_.empty()));
}

void Supervisor::wait_for_events() const {
  std::vector<int> descriptors;
  for (const auto& slot : slots_) {
    if (!slot->worker) continue;
    for (const int descriptor : slot->worker->descriptors()) descriptors.push_back(descriptor);
  }
  host_.wait(descriptors, kTick);
}

/// The first video of the model that the slot's worker has loaded; else of the model that the fewest other workers
/// have.
std::optional<size_t> Supervisor::next_video(const Slot& slot) {
  std::map<std::string, int> users;
  for (const auto& other : slots_) {
    if (other->worker) ++users[other->model_key];
  }
  auto best = waiting_.end();
  int best_users = 0;
  for (auto video = waiting_.begin(); video != waiting_.end(); ++video) {
    if (!can_run(*video, slot)) continue;
    const std::string& key = videos_[*video].model_key;
    const int other_users = slot.worker && key == slot.model_key ? -1 : users[key];
    if (best != waiting_.end() && other_users >= best_users) continue;
    best = video;
    best_users = other_users;
  }
  if (best == waiting_.end()) return {};
  const size_t video = *best;
  waiting_.erase(best);
  return video;
}

/// Locks the video for the slot. False: another run renders it, or nothing is left to do.
bool Supervisor::claim(Slot& slot, size_t video) {
  auto lock = FileLock::take(folder_.lock_file(videos_[video].name));
  const JobStatus saved = folder_.read(videos_[video].name);
  if (!lock) {
    locked_.push_back(video);
    if (saved.state != JobState::kRunning) return false;
    const bool is_news = statuses_[video].state != JobState::kElsewhere;
    statuses_[video] = saved;
    statuses_[video].state = JobState::kElsewhere;
    if (is_news) on_state(video);
    return false;
  }
  if (is_settled(video, saved)) return false;
  slot.lock = std::move(lock);
  return true;
}

/// Whether the video is done, or has failed in another run since this one started, or cannot be rendered because a
/// different video is in its place. Requires: the video is locked.
bool Supervisor::is_settled(size_t video, const JobStatus& saved) {
  JobStatus& status = statuses_[video];
  const bool by_another_run = saved.changed_ms > std::max(started_ms_, status.changed_ms);
  if (by_another_run && saved.state == JobState::kFailed) {
    status = saved;
    on_state(video);
    return true;
  }
  try {
    if (!is_video_finished(videos_[video])) return false;
    if (by_another_run) status = saved;
    status.fault.reset();
    if (status.state != JobState::kDone) set_state(video, JobState::kDone);
  } catch (const Error&) {
    status.fault = current_fault_at(videos_[video].place);
    set_state(video, JobState::kFailed);
  }
  return true;
}

void Supervisor::start(Slot& slot, size_t video) {
  const BatchVideo& job = videos_[video];
  JobStatus& status = statuses_[video];
  const bool is_retry = status.changed_ms >= started_ms_ && status.attempts > 0;
  status = {.attempts = is_retry ? status.attempts + 1 : 1,
            .blocks = job.blocks,
            .seconds = is_retry ? status.seconds : 0,
            .stage = "starting",
            .output = job.config.output.string(),
            .started = is_retry ? status.started : utc_now()};
  std::error_code ignored;  // the worker reports a missing folder
  for (const std::filesystem::path& file : output_files(job.config))
    std::filesystem::create_directories(file.parent_path(), ignored);
  if (!slot.worker) slot.worker = host_.start(slot.share);  // the first one, or again after a crash
  slot.video = video;
  slot.model_key = job.model_key;
  slot.hangs = false;
  slot.started = slot.last_event = slot.last_saved = host_.now();
  WorkerJob order{
      .name = job.name, .attempt = status.attempts, .config = job.config, .preview = folder_.preview_file(job.name)};
  if (requested_gpu(order.config)) order.config.device = "cuda";  // the only one that the worker sees
  slot.worker->send(order);
  set_state(video, JobState::kRunning);
}

void Supervisor::handle_events(Slot& slot) {
  if (!slot.worker) return;
  for (const WorkerEvent& event : slot.worker->read_events()) {
    slot.last_event = host_.now();
    if (event.kind == WorkerEvent::Kind::kExited) {
      slot.worker.reset();
      if (slot.video) handle_exit(slot, event);
    } else if (slot.video) {
      handle_event(slot, event);
    }
    if (!slot.worker) break;
  }
}

void Supervisor::handle_event(Slot& slot, const WorkerEvent& event) {
  JobStatus& status = statuses_[*slot.video];
  switch (event.kind) {
    case WorkerEvent::Kind::kDone:
      status.frames = event.progress.frames;
      status.block = status.blocks;
      return end_video(slot, JobState::kDone);
    case WorkerEvent::Kind::kStopped:
      return end_video(slot, JobState::kInterrupted);
    case WorkerEvent::Kind::kFailed: {
      const auto error = static_cast<ExitStatus>(event.status);
      end_video(slot, JobState::kFailed, fault_at(videos_[*slot.video].place, error, event.message));
      // After a lack of memory or an internal error the process is not trusted with another video.
      if (error == ExitStatus::kDevice || error == ExitStatus::kInternal) slot.worker.reset();
      return;
    }
    default:
      update_progress(slot, event);
  }
}

void Supervisor::update_progress(Slot& slot, const WorkerEvent& event) {
  JobStatus& status = statuses_[*slot.video];
  const RenderProgress& progress = event.progress;
  if (event.kind == WorkerEvent::Kind::kStage) slot.pace.begin(progress);
  status.stage = event.stage;
  status.block = progress.block;
  status.blocks = progress.blocks;
  status.frames = progress.frames;
  status.frames_per_second = slot.pace.frames_per_second(progress);
  status.seconds_left = slot.pace.seconds_left(progress);
  if (slot.last_event - slot.last_saved <= kSaveSeconds) return;
  slot.last_saved = slot.last_event;
  status.changed_ms = now_ms();
  save_status(*slot.video);
}

void Supervisor::handle_exit(Slot& slot, const WorkerEvent& exit) {
  if (stop_time_) return end_video(slot, JobState::kInterrupted);
  const JobStatus& status = statuses_[*slot.video];
  const std::string where = ", at frame block " + std::to_string(status.block) + " of " +
                            std::to_string(status.blocks) + " (" + status.stage + ")";
  const bool maybe_memory = slot.hangs || exit.status == -SIGKILL;
  std::ostringstream what;
  if (slot.hangs) {
    what << "no frame block in " << options_.block_seconds << " s" << where;
  } else {
    what << exit_text(exit.status) << where << (exit.message.empty() ? "" : ": ") << exit.message;
  }
  JobFault fault =
      fault_at(videos_[*slot.video].place, maybe_memory ? ExitStatus::kDevice : ExitStatus::kInternal, what.str());
  fault.kind = slot.hangs ? "hang" : "crash";
  end_video(slot, JobState::kFailed, fault);
}

void Supervisor::kill_overdue_worker(Slot& slot) const {
  if (!slot.worker) return;
  const TimePoint now = host_.now();
  if (stop_time_) {
    if (now - *stop_time_ > kStopSeconds) slot.worker->kill();
  } else if (slot.video && !slot.hangs && now - slot.last_event >= Seconds(options_.block_seconds)) {
    slot.hangs = true;
    slot.worker->kill();
  }
}

void Supervisor::end_video(Slot& slot, JobState state, const std::optional<JobFault>& fault) {
  const size_t video = *slot.video;
  JobStatus& status = statuses_[video];
  status.seconds += Seconds(host_.now() - slot.started).count();
  status.ended = utc_now();
  status.fault = fault;
  const bool retry = fault && is_transient(*fault) && status.attempts <= options_.retries && !stop_time_;
  if (retry) waiting_.push_back(video);  // behind the videos that have not failed
  set_state(video, retry ? JobState::kWaiting : state);
  slot.video.reset();
  slot.lock.reset();
}

void Supervisor::set_state(size_t video, JobState state) {
  statuses_[video].state = state;
  statuses_[video].changed_ms = now_ms();
  save_status(video);
  on_state(video);
}

/// On a full disk the videos come first: the rendering continues, and the status is written again at the end.
void Supervisor::save_status(size_t video) {
  try {
    folder_.write(videos_[video].name, statuses_[video]);
    unsaved_.erase(video);
  } catch (const MediaError& error) {
    unsaved_.insert(video);
    on_unsaved(error.what());
  }
}

void Supervisor::save_missed_statuses() {
  for (const size_t video : std::set<size_t>(unsaved_)) {
    if (const auto lock = FileLock::take(folder_.lock_file(videos_[video].name))) save_status(video);
  }
}

}  // namespace flashblock
