#include "batch/supervisor.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "batch/finished_video.h"
#include "core/device.h"
#include "core/error.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;
using Seconds = std::chrono::duration<double>;

constexpr int kTickMs = 200;            // between two looks at everything
constexpr Seconds kStopSeconds{3.0};    // for workers that are asked to stop; the program has 5
constexpr Seconds kRecordSeconds{1.0};  // between two records of a video in work
constexpr Seconds kLookSeconds{1.0};    // between two tries to get videos of another run

/// The GPU that a video must have; none: any.
std::optional<int64_t> wanted_gpu(const RenderConfig& config) {
  if (config.device.rfind("cuda:", 0) != 0) return {};
  return std::stoll(config.device.substr(5));
}

/// What makes a worker see GPU `number` of those this process sees, and no other.
std::string gpu_variable(int64_t number) {
  const char* given = std::getenv("CUDA_VISIBLE_DEVICES");
  std::istringstream list(given ? given : "");
  std::string entry = std::to_string(number);
  for (int64_t i = 0; given && i <= number; ++i) std::getline(list, entry, ',');
  return "CUDA_VISIBLE_DEVICES=" + entry;
}

std::string how_it_ended(int status) {
  if (status >= 0) return "the worker ended by itself with status " + std::to_string(status);
  std::string text = "the worker was ended by signal " + std::to_string(-status) + " (" + strsignal(-status) + ")";
  if (status == -SIGKILL) text += ", as the system does when memory runs out";
  return text;
}

}  // namespace

/// A place for one worker at a time.
struct Supervisor::Slot {
  int64_t gpu = -1;  ///< -1: the CPU
  std::vector<std::string> environment;
  std::unique_ptr<WorkerProcess> worker;
  std::string model_key;  ///< of the model that the worker has loaded
  std::optional<size_t> video;
  std::optional<FileLock> lock;
  bool hangs = false;
  Clock::time_point begun, heard, recorded;
  RenderPace pace;
};

Supervisor::Supervisor(const std::vector<BatchVideo>& videos, const std::vector<size_t>& order,
                       const BatchFolder& folder, const SupervisorOptions& options)
    : videos_(videos), folder_(folder), options_(options), records_(videos.size()), begun_ms_(now_ms()) {
  for (size_t i = 0; i < videos.size(); ++i) {
    records_[i] = folder.read(videos[i].name);
    records_[i].output = videos[i].config.output.string();
    if (records_[i].blocks == 0) records_[i].blocks = videos[i].blocks;
  }
  make_slots(order);
  waiting_.assign(order.begin(), order.end());
  for (const size_t video : order) {  // what an earlier run failed at is to be done again, and shown as such
    if (records_[video].state == JobState::kFailed) records_[video].state = JobState::kWaiting;
  }
}

Supervisor::~Supervisor() = default;

void Supervisor::make_slots(const std::vector<size_t>& order) {
  const auto gpus = static_cast<int64_t>(gpu_count());
  const bool on_gpus = gpus > 0 && std::any_of(order.begin(), order.end(),
                                               [&](size_t video) { return videos_[video].config.device != "cpu"; });
  const int64_t wanted = options_.workers.value_or(on_gpus ? gpus : 1);
  const int64_t cores = std::max(1U, std::thread::hardware_concurrency());
  for (int64_t i = 0; i < wanted; ++i) {
    auto slot = std::make_unique<Slot>();
    if (on_gpus) {
      slot->gpu = i % gpus;
      slot->environment.push_back(gpu_variable(slot->gpu));
    } else if (wanted > 1) {
      slot->environment.push_back("OMP_NUM_THREADS=" + std::to_string(std::max<int64_t>(1, cores / wanted)));
    }
    slots_.push_back(std::move(slot));
  }
}

bool Supervisor::fits(size_t video, const Slot& slot) const {
  const RenderConfig& config = videos_[video].config;
  if (slot.gpu < 0) return true;
  if (config.device == "cpu") return &slot == slots_.front().get();  // more would fight for the processor
  const auto wanted = wanted_gpu(config);
  return !wanted || *wanted == slot.gpu;
}

bool Supervisor::is_busy() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const auto& slot) { return slot->video.has_value(); });
}

void Supervisor::run(const std::stop_token& stop) {
  for (const size_t video : std::vector<size_t>(waiting_.begin(), waiting_.end())) {
    const bool possible =
        std::any_of(slots_.begin(), slots_.end(), [&](const auto& slot) { return fits(video, *slot); });
    if (possible) continue;
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), video));
    records_[video].fault =
        fault_at(videos_[video].place, static_cast<int>(ExitStatus::kDevice),
                 "no worker has device " + videos_[video].config.device + ": give --workers auto, or device: auto");
    set_state(video, JobState::kFailed);
  }
  Clock::time_point stop_time;
  for (;;) {
    if (stop.stop_requested() && !stopping_) {
      stopping_ = true;
      stop_time = Clock::now();
      for (const auto& slot : slots_) {
        if (slot->worker) slot->worker->close_input();
      }
    }
    if (!stopping_) look_elsewhere();
    for (const auto& slot : slots_) {
      if (!stopping_ && !slot->video) start_next(*slot);
    }
    on_tick();
    if (!is_busy() && (stopping_ || (waiting_.empty() && elsewhere_.empty()))) break;
    poll_workers();
    for (const auto& slot : slots_) {
      listen(*slot);
      watch_for_hang(*slot);
      if (stopping_ && slot->worker && Clock::now() - stop_time > kStopSeconds) slot->worker->kill();
    }
  }
  keep_missed_records();
}

void Supervisor::look_elsewhere() {
  if (elsewhere_.empty() || Clock::now() - looked_ < kLookSeconds) return;
  looked_ = Clock::now();
  for (const size_t video : std::exchange(elsewhere_, {})) waiting_.push_back(video);
}

std::optional<size_t> Supervisor::pick(const Slot& slot) {
  // The model that is loaded; else one that the fewest other workers have.
  std::map<std::string, int> users;
  for (const auto& other : slots_) {
    if (other->worker) ++users[other->model_key];
  }
  auto best = waiting_.end();
  int best_users = 0;
  for (auto video = waiting_.begin(); video != waiting_.end(); ++video) {
    if (!fits(*video, slot)) continue;
    const std::string& key = videos_[*video].model_key;
    const int others = slot.worker && key == slot.model_key ? -1 : users[key];
    if (best != waiting_.end() && others >= best_users) continue;
    best = video;
    best_users = others;
  }
  if (best == waiting_.end()) return {};
  const size_t video = *best;
  waiting_.erase(best);
  return video;
}

void Supervisor::start_next(Slot& slot) {
  while (const auto video = pick(slot)) {
    if (!take(slot, *video)) continue;
    render(slot, *video);
    return;
  }
}

/// Gets the video's lock, and looks what is left to do. False: nothing, for this run and now.
bool Supervisor::take(Slot& slot, size_t video) {
  slot.lock = FileLock::take(folder_.lock_file(videos_[video].name));
  JobStatus record = folder_.read(videos_[video].name);
  if (!slot.lock) {
    elsewhere_.push_back(video);
    if (record.state == JobState::kRunning) {
      const JobState before = records_[video].state;
      records_[video] = record;
      records_[video].state = JobState::kElsewhere;
      if (before != JobState::kElsewhere) on_state(video);
    }
    return false;
  }
  const bool by_another_run = record.changed_ms > std::max(begun_ms_, records_[video].changed_ms);
  if (by_another_run && record.state == JobState::kFailed) {
    records_[video] = record;
    slot.lock.reset();
    on_state(video);
    return false;
  }
  try {
    if (!is_video_finished(videos_[video])) return true;
    if (by_another_run) records_[video] = record;
    records_[video].fault.reset();
    if (records_[video].state != JobState::kDone) set_state(video, JobState::kDone);
  } catch (const Error& error) {
    records_[video].fault = fault_at(videos_[video].place, static_cast<int>(error.status()), error.what());
    set_state(video, JobState::kFailed);
  }
  slot.lock.reset();
  return false;
}

void Supervisor::render(Slot& slot, size_t video) {
  const BatchVideo& wanted = videos_[video];
  JobStatus& record = records_[video];
  const bool retry = record.changed_ms >= begun_ms_ && record.attempts > 0;
  record = {.attempts = retry ? record.attempts + 1 : 1,
            .blocks = wanted.blocks,
            .seconds = retry ? record.seconds : 0,
            .stage = "starting",
            .output = wanted.config.output.string(),
            .begun = retry ? record.begun : utc_now()};
  std::error_code ignored;  // the worker tells if there is no folder
  std::filesystem::create_directories(wanted.config.output.parent_path(), ignored);
  if (!slot.worker) slot.worker = std::make_unique<WorkerProcess>(slot.environment);
  slot.video = video;
  slot.model_key = wanted.model_key;
  slot.hangs = false;
  slot.begun = slot.heard = slot.recorded = Clock::now();
  RenderConfig config = wanted.config;
  if (wanted_gpu(config)) config.device = "cuda";  // the only one that the worker sees
  slot.worker->send(Json({{"name", wanted.name},
                          {"attempt", record.attempts},
                          {"configuration", config_json(config)},
                          {"preview", folder_.preview_file(wanted.name).string()}})
                        .dump(-1, ' ', false, Json::error_handler_t::replace));
  set_state(video, JobState::kRunning);
}

void Supervisor::poll_workers() const {
  std::vector<pollfd> files;
  for (const auto& slot : slots_) {
    if (!slot->worker) continue;
    for (const int file : {slot->worker->output(), slot->worker->errors()}) {
      if (file >= 0) files.push_back({.fd = file, .events = POLLIN});
    }
  }
  ::poll(files.data(), files.size(), kTickMs);
}

void Supervisor::listen(Slot& slot) {
  if (!slot.worker) return;
  for (const std::string& line : slot.worker->read_lines()) {
    if (slot.worker) hear(slot, line);
  }
  if (slot.worker && slot.worker->is_silent()) bury(slot);
}

void Supervisor::hear(Slot& slot, const std::string& line) {
  if (!slot.video) return;
  const Json report = Json::parse(line);
  const std::string event = report.at("event");
  JobStatus& record = records_[*slot.video];
  slot.heard = Clock::now();
  if (event == "done") {
    report.at("frames").get_to(record.frames);
    record.block = record.blocks;
    end_video(slot, JobState::kDone);
  } else if (event == "stopped") {
    end_video(slot, JobState::kInterrupted);
  } else if (event == "failed") {
    const int status = report.at("status");
    const JobFault fault = fault_at(videos_[*slot.video].place, status, report.at("message"));
    end_video(slot, JobState::kFailed, fault);
    // What a lack of memory or a fault of our own leaves behind is not trusted with another video.
    const bool other_fault =
        status == static_cast<int>(ExitStatus::kDevice) || status == static_cast<int>(ExitStatus::kInternal);
    if (other_fault) slot.worker.reset();
  } else {
    const RenderProgress progress{report.at("block"), report.at("blocks"), report.at("frames")};
    if (event == "stage") slot.pace.begin(progress);
    record.stage = report.at("stage");
    record.block = progress.block;
    record.blocks = progress.blocks;
    record.frames = progress.frames;
    record.frames_per_second = slot.pace.frames_per_second(progress);
    record.seconds_left = slot.pace.seconds_left(progress);
    if (slot.heard - slot.recorded > kRecordSeconds) {
      slot.recorded = slot.heard;
      record.changed_ms = now_ms();
      keep_record(*slot.video);
    }
  }
}

void Supervisor::watch_for_hang(Slot& slot) {
  if (!slot.worker || !slot.video || stopping_) return;
  if (Clock::now() - slot.heard < Seconds(options_.block_seconds)) return;
  slot.hangs = true;
  slot.worker->kill();
  slot.heard = Clock::now();
}

/// The worker is gone: what that means for its video.
void Supervisor::bury(Slot& slot) {
  const std::string words = slot.worker->last_words();
  const int status = slot.worker->wait();
  slot.worker.reset();
  if (!slot.video) return;
  if (stopping_) return end_video(slot, JobState::kInterrupted);
  const JobStatus& record = records_[*slot.video];
  const std::string where = ", at frame block " + std::to_string(record.block) + " of " +
                            std::to_string(record.blocks) + " (" + record.stage + ")";
  const bool killed = status == -SIGKILL;
  JobFault fault = fault_at(videos_[*slot.video].place,
                            static_cast<int>(slot.hangs || killed ? ExitStatus::kDevice : ExitStatus::kInternal),
                            how_it_ended(status) + where + (words.empty() ? "" : ": " + words));
  fault.kind = "crash";
  if (slot.hangs) {
    fault.kind = "hang";
    char text[64];
    std::snprintf(text, sizeof text, "no frame block in %g s", options_.block_seconds);
    fault.message = fault_at(videos_[*slot.video].place, 0, text + where + "; --block-timeout sets the limit").message;
  }
  end_video(slot, JobState::kFailed, fault);
}

void Supervisor::end_video(Slot& slot, JobState state, const std::optional<JobFault>& fault) {
  const size_t video = *slot.video;
  JobStatus& record = records_[video];
  record.seconds += Seconds(Clock::now() - slot.begun).count();
  record.ended = utc_now();
  record.fault = fault;
  const bool passing = fault && (fault->kind == "crash" || fault->kind == "hang" || fault->kind == "memory");
  const bool again = passing && record.attempts <= options_.retries && !stopping_;
  if (again) waiting_.push_back(video);  // after the others: it is the one that is trouble
  set_state(video, again ? JobState::kWaiting : state);
  slot.video.reset();
  slot.lock.reset();
}

void Supervisor::set_state(size_t video, JobState state) {
  records_[video].state = state;
  records_[video].changed_ms = now_ms();
  keep_record(video);
  on_state(video);
}

/// On a full disk videos in work come first: they may have found room, and go on to tell what is done.
void Supervisor::keep_record(size_t video) {
  try {
    folder_.write(videos_[video].name, records_[video]);
    unrecorded_.erase(video);
  } catch (const MediaError& error) {
    unrecorded_.insert(video);
    on_unrecorded(error.what());
  }
}

void Supervisor::keep_missed_records() {
  for (const size_t video : std::set<size_t>(unrecorded_)) {
    if (const auto lock = FileLock::take(folder_.lock_file(videos_[video].name))) keep_record(video);
  }
}

}  // namespace flashblock
