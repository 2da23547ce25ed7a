#include "server/render_worker.h"

#include <chrono>
#include <ctime>
#include <exception>
#include <functional>
#include <iostream>

#include "core/atomic_file.h"
#include "core/error_report.h"
#include "media/jpeg_encoder.h"
#include "media/video_reader.h"
#include "media/video_writer.h"
#include "render/describe_video.h"
#include "render/output_check.h"
#include "render/render.h"
#include "render/render_setup.h"
#include "render/sidecar.h"
#include "server/catalog_observer.h"

namespace flashblock {
namespace {

/// The word for programs that belongs to a failed video.
const char* error_code(ExitStatus status) {
  switch (status) {
    case ExitStatus::kConfig:
      return "invalid_request";
    case ExitStatus::kWeights:
      return "model_error";
    case ExitStatus::kDevice:
      return "device_error";
    case ExitStatus::kMedia:
      return "media_error";
    default:
      return "internal_error";
  }
}

/// Writes NAME.json when the video is there.
class Accountant : public RenderObserver {
 public:
  explicit Accountant(std::function<void(const RenderResult&)> write) : write_(std::move(write)) {}
  void joined(const RenderResult& result) override { write_(result); }

 private:
  std::function<void(const RenderResult&)> write_;
};

/// Makes a shorter video of the pieces of one that was stopped.
void join_what_there_is(const RenderResult& result) {
  RenderConfig config = result.config;
  const double end = static_cast<double>(result.frames) / static_cast<double>(config.fps);
  std::erase_if(config.timeline, [&](const PromptChange& change) { return change.seconds >= end; });
  config.frames = result.frames;
  VideoWriter writer(config.output,
                     {.width = config.width, .height = config.height, .fps = config.fps, .encoder = config.encoder},
                     ExistingVideo::kResume);
  writer.join(video_tags(config));
  writer.remove_parts();
}

/// Takes a frame out of the video, a little after its beginning.
void write_thumbnail(const std::filesystem::path& video, const std::filesystem::path& thumbnail, int64_t fps) {
  VideoReader reader(video);
  VideoFrame frame;
  for (int64_t i = 0; i <= fps && reader.next(frame); ++i) {
  }
  write_file_atomically(thumbnail, encode_jpeg(frame.rgb));
}

}  // namespace

RenderWorker::RenderWorker(const RequestPlanner& planner, const VideoFolder& folder, LoadedModel& model,
                           VideoCatalog& catalog, VideoStreams& streams)
    : planner_(planner), folder_(folder), model_(model), catalog_(catalog), streams_(streams) {
  thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

RenderWorker::~RenderWorker() = default;

void RenderWorker::work(const std::stop_token& stop) {
  while (const auto task = catalog_.take_next(stop)) {
    const std::string& id = task->video.id;
    try {
      render(*task, stop);
    } catch (...) {
      const ErrorReport report = report_error(std::current_exception());
      std::cerr << "flashblock: " << id << " failed: " << report.line << std::endl;
      catalog_.update(id, Keep::kOnDisk, [&](Video& video) {
        video.status = VideoStatus::kFailed;
        video.completed_at = std::time(nullptr);
        video.error_code = error_code(report.status);
        video.error_message = report.line;
        video.progress.stage.clear();
      });
    }
    catalog_.release(id);
  }
}

void RenderWorker::render(const VideoCatalog::Task& task, const std::stop_token& stop) {
  const auto start = std::chrono::steady_clock::now();
  RenderConfig config = planner_.config(task.video);
  config.output = folder_.video(task.video.id);
  config.contact_sheet = folder_.contact_sheet(task.video.id);
  config.resume = true;  // what a server that was ended in mid-video left
  const RenderSetup setup = set_up_render(config, model_.transformer_config());
  RenderOrder order = order_video(setup, identify_video(setup, model_.device(), model_.dtype(),
                                                        {ModelPart::kTransformer, ModelPart::kVae,
                                                         ModelPart::kTokenizer, ModelPart::kTextEncoder}));
  order.prompts = task.prompts;
  RenderResult result{.complete = true};
  if (find_video(config.output, order.identity) == VideoState::kComplete) {
    remove_leftovers(config.output);
  } else {
    check_outputs(setup);
    std::stop_source either;
    const std::stop_callback on_cancel(task.stop, [&] { either.request_stop(); });
    const std::stop_callback on_end(stop, [&] { either.request_stop(); });
    Profile profile;
    Accountant accountant([&](const RenderResult& video) {
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      write_sidecar({video.config, model_.device(), model_.dtype(), setup.plan, video, seconds}, profile,
                    order.identity);
    });
    CatalogObserver observer(task.video.id, catalog_, streams_, &accountant);
    result = render_video(setup, model_, order, profile, observer, either.get_token());
  }
  if (!result.complete && stop.stop_requested()) return;  // the next server goes on
  if (!result.complete && result.frames > 0) join_what_there_is(result);
  if (result.complete || result.frames > 0) {
    write_thumbnail(config.output, folder_.thumbnail(task.video.id), config.fps);
  }
  catalog_.update(task.video.id, Keep::kOnDisk, [&](Video& video) {
    video.status = result.complete ? VideoStatus::kCompleted : VideoStatus::kCancelled;
    if (!result.complete) video.frames = result.frames;
    video.completed_at = std::time(nullptr);
    video.progress.stage.clear();
  });
}

}  // namespace flashblock
