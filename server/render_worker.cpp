#include "server/render_worker.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "core/atomic_file.h"
#include "core/error_report.h"
#include "media/jpeg_encoder.h"
#include "media/video_reader.h"
#include "pipeline/render_line.h"
#include "render/render.h"
#include "server/catalog_observer.h"
#include "server/render_failure.h"

namespace flashblock {
namespace {

constexpr std::chrono::milliseconds kFirstPause{2000}, kLongestPause{60'000};
/// How often the space on the disk is looked at.
constexpr std::chrono::milliseconds kDiskInterval{500};
/// Less than this is a full disk: a frame block of the largest video at the highest quality takes less.
constexpr int64_t kFullBytes = int64_t{4} << 20;
/// So much more space than at the last failure is worth an attempt.
constexpr int64_t kMoreSpace = int64_t{1} << 20;

/// Writes the frame at one second, or the last one of a shorter video.
void write_thumbnail(const std::filesystem::path& video, const std::filesystem::path& thumbnail, int64_t fps) {
  VideoReader reader(video);
  VideoFrame frame;
  for (int64_t i = 0; i <= fps && reader.next(frame); ++i) {
  }
  write_file_atomically(thumbnail, encode_jpeg(frame.rgb));
}

/// For the log: the error and which of the server's settings would help. Those of single videos it sets itself.
std::string operator_line(const ErrorReport& report) {
  return error_line(report.message, report.remedies, [](const Remedy& remedy) {
    const bool of_video = remedy.key == "output" || remedy.key == "overwrite" || remedy.key == "resume";
    return of_video ? std::string() : yaml_setting(remedy);
  });
}

}  // namespace

RenderWorker::RenderWorker(const RequestPlanner& planner, const VideoFolder& folder, Renderer& renderer,
                           VideoCatalog& catalog, VideoStreams& streams)
    : planner_(planner),
      folder_(folder),
      renderer_(renderer),
      catalog_(catalog),
      streams_(streams),
      pause_(kFirstPause) {
  thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

RenderWorker::~RenderWorker() = default;

void RenderWorker::work(const std::stop_token& stop) {
  const ThreadLimit all(process_threads());
  while (!stop.stop_requested()) {
    std::string id;
    try {
      const auto task = catalog_.take_next(stop);
      if (!task) return;
      id = task->video.id;
      render(*task, stop);
      attempts_.erase(id);
      pause_ = kFirstPause;
    } catch (...) {
      handle_failure(id.empty() ? catalog_.next() : id, std::current_exception(), stop);
    }
    catalog_.release(id);
    if (catalog_.held()) wait_for_another_attempt(stop);
  }
}

DiskState RenderWorker::disk_state(const std::string& id) const {
  return folder_.disk_state(kFullBytes + 2 * folder_.unfinished(id).bytes);  // the video is joined beside its segments
}

void RenderWorker::log(const std::string& line) {
  if (line != std::exchange(logged_, line)) std::cerr << "flashblock: " << line << std::endl;
}

void RenderWorker::handle_failure(const std::string& id, const std::exception_ptr& fault, const std::stop_token& stop) {
  const ErrorReport report = report_error(fault);
  if (id.empty()) return;  // deleted meanwhile
  const int64_t block = catalog_.finished_blocks(id);
  Attempts& attempts = attempts_[id];
  if (block > attempts.block) {
    attempts = {.block = block};
    pause_ = kFirstPause;
  }
  const RenderFailure failure = judge_failure(report, ++attempts.count, disk_state(id));
  log(id + (failure.passes ? " waits: " : " failed: ") + operator_line(report));
  if (failure.passes) {
    catalog_.hold(id, failure.reason, failure.of_memory ? VideoCatalog::Place::kLast : VideoCatalog::Place::kNext);
    return;
  }
  attempts_.erase(id);
  streams_.finish(id);
  end(
      id,
      [&](Video& video) {
        end_video(video, VideoStatus::kFailed);
        video.error_code = failure.reason.code;
        video.error_message = failure.reason.message;
      },
      stop);
}

void RenderWorker::wait_for_another_attempt(const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  const int64_t free = folder_.free_bytes();
  const auto end = Clock::now() + pause_;
  pause_ = std::min(2 * pause_, kLongestPause);
  while (Clock::now() < end && !stop.stop_requested()) {
    if (catalog_.wait_for_request(stop, kDiskInterval)) return;
    if (folder_.free_bytes() >= free + kMoreSpace) return;
  }
}

void RenderWorker::end(const std::string& id, const std::function<void(Video&)>& change, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    try {
      catalog_.update(id, Keep::kOnDisk, change);
      return catalog_.end_hold();
    } catch (...) {
      const ErrorReport report = report_error(std::current_exception());
      log(id + " waits: " + operator_line(report));
      catalog_.hold(id, judge_failure(report, /*attempts=*/1, disk_state(id)).reason, VideoCatalog::Place::kRunning);
      wait_for_another_attempt(stop);
    }
  }
}

void RenderWorker::render(const VideoCatalog::Task& task, const std::stop_token& stop) {
  const std::string& id = task.video.id;
  RenderConfig config = planner_.config(task.video);
  config.output = folder_.video(id);
  config.standard_output.clear();
  config.output_options = {};  // browsers play H.264
  config.contact_sheet = folder_.contact_sheet(id);
  const RenderOptions options{
      .existing = ExistingFiles::kResumeOrReplace, .prompts = task.prompts, .finish_early = task.stop};
  const RenderResult result = [&] {
    CatalogObserver observer(id, catalog_, streams_);  // ends the stream before the video is listed as finished
    observer.keep_stream(true);                        // if the render fails
    RenderResult rendered = renderer_.render(config, observer, stop, options);
    observer.keep_stream(false);
    return rendered;
  }();
  if (result.outcome == RenderOutcome::kStopped) return;  // the next server resumes it
  try {
    if (result.frames > 0) write_thumbnail(config.output, folder_.thumbnail(id), config.fps);
  } catch (const Error& error) {  // the video itself is there
    log(id + " has no thumbnail: " + error.what());
  }
  const bool early = result.outcome == RenderOutcome::kFinishedEarly;
  end(
      id,
      [&](Video& video) {
        end_video(video, early ? VideoStatus::kCancelled : VideoStatus::kCompleted);
        if (early) video.frames = result.frames;
      },
      stop);
}

}  // namespace flashblock
