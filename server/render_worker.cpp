#include "server/render_worker.h"

#include <exception>
#include <iostream>

#include "core/atomic_file.h"
#include "core/error_report.h"
#include "media/jpeg_encoder.h"
#include "media/video_reader.h"
#include "pipeline/render_line.h"
#include "render/render.h"
#include "server/catalog_observer.h"

namespace flashblock {
namespace {

/// A failure as clients see it. The request was checked before, so the cause is on the server; the full message, which
/// may contain paths of this machine, goes to the log.
struct PublicError {
  const char *code, *message;
};

PublicError public_error(ExitStatus status) {
  switch (status) {
    case ExitStatus::kConfig:
      return {"invalid_request", "the server's settings do not allow this video"};
    case ExitStatus::kWeights:
      return {"model_error", "the server could not load the model"};
    case ExitStatus::kDevice:
      return {"device_error", "the server's device failed or is out of memory"};
    case ExitStatus::kMedia:
      return {"media_error", "the server could not write the video"};
    default:
      return {"internal_error", "the server failed to render the video; its log says why"};
  }
}

/// Writes the frame at one second, or the last one of a shorter video.
void write_thumbnail(const std::filesystem::path& video, const std::filesystem::path& thumbnail, int64_t fps) {
  VideoReader reader(video);
  VideoFrame frame;
  for (int64_t i = 0; i <= fps && reader.next(frame); ++i) {
  }
  write_file_atomically(thumbnail, encode_jpeg(frame.rgb));
}

}  // namespace

RenderWorker::RenderWorker(const RequestPlanner& planner, const VideoFolder& folder, Renderer& renderer,
                           VideoCatalog& catalog, VideoStreams& streams)
    : planner_(planner), folder_(folder), renderer_(renderer), catalog_(catalog), streams_(streams) {
  thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

RenderWorker::~RenderWorker() = default;

void RenderWorker::work(const std::stop_token& stop) {
  const ThreadLimit all(process_threads());
  while (const auto task = catalog_.take_next(stop)) {
    const std::string& id = task->video.id;
    try {
      render(*task, stop);
    } catch (...) {
      const ErrorReport report = report_error(std::current_exception());
      const PublicError error = public_error(report.status);
      std::cerr << "flashblock: " << id << " failed: " << report.line << std::endl;
      catalog_.update(id, Keep::kOnDisk, [&](Video& video) {
        end_video(video, VideoStatus::kFailed);
        video.error_code = error.code;
        video.error_message = error.message;
      });
    }
    catalog_.release(id);
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
    return renderer_.render(config, observer, stop, options);
  }();
  if (result.outcome == RenderOutcome::kStopped) return;  // the next server resumes it
  if (result.frames > 0) write_thumbnail(config.output, folder_.thumbnail(id), config.fps);
  const bool early = result.outcome == RenderOutcome::kFinishedEarly;
  catalog_.update(id, Keep::kOnDisk, [&](Video& video) {
    end_video(video, early ? VideoStatus::kCancelled : VideoStatus::kCompleted);
    if (early) video.frames = result.frames;
  });
}

}  // namespace flashblock
