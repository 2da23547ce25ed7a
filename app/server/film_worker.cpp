#include "app/server/film_worker.h"

#include <chrono>
#include <ctime>
#include <exception>
#include <iostream>

#include "app/error_report.h"
#include "app/output_check.h"
#include "app/server/video_observer.h"
#include "app/sidecar.h"
#include "pipeline/film_setup.h"
#include "pipeline/render_film.h"

namespace flashblock {
namespace {

/// The word for programs that belongs to a failed film.
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

}  // namespace

FilmWorker::FilmWorker(const FilmPlanner& planner, const VideoFolder& folder, LoadedModel& model, VideoCatalog& catalog,
                       FilmStreams& streams)
    : planner_(planner), folder_(folder), model_(model), catalog_(catalog), streams_(streams) {
  thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

FilmWorker::~FilmWorker() = default;

void FilmWorker::work(const std::stop_token& stop) {
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

void FilmWorker::render(const VideoCatalog::Task& task, const std::stop_token& stop) {
  const auto start = std::chrono::steady_clock::now();
  RenderConfig config = planner_.config(task.video);
  config.output = folder_.film(task.video.id);
  config.contact_sheet = folder_.contact_sheet(task.video.id);
  config.overwrite = true;
  const FilmSetup setup = set_up_film(config, model_.transformer_config());
  check_outputs(setup);

  std::stop_source either;
  const std::stop_callback on_cancel(task.stop, [&] { either.request_stop(); });
  const std::stop_callback on_end(stop, [&] { either.request_stop(); });
  Profile profile;
  VideoObserver observer(task.video.id, catalog_, streams_);
  const FilmResult result = render_film(setup, model_, film_tags(setup.config), profile, observer, either.get_token());
  if (!result.complete && stop.stop_requested()) return;  // the next server goes on
  if (result.complete) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    write_sidecar({setup.config, model_.device(), model_.dtype(), setup.plan, result, seconds}, profile,
                  WeightChecksums({}));
  }
  catalog_.update(task.video.id, Keep::kOnDisk, [&](Video& video) {
    video.status = result.complete ? VideoStatus::kCompleted : VideoStatus::kCancelled;
    video.completed_at = std::time(nullptr);
    video.progress.stage.clear();
  });
}

}  // namespace flashblock
