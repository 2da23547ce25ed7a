#include "app/server/film_worker.h"

#include <chrono>
#include <ctime>
#include <exception>
#include <functional>
#include <iostream>

#include "app/error_report.h"
#include "app/film_identity.h"
#include "app/output_check.h"
#include "app/server/video_observer.h"
#include "app/sidecar.h"
#include "core/atomic_file.h"
#include "media/film_writer.h"
#include "media/jpeg_encoder.h"
#include "media/video_reader.h"
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

/// Writes NAME.json when the film is there.
class Accountant : public FilmObserver {
 public:
  explicit Accountant(std::function<void(const FilmResult&)> write) : write_(std::move(write)) {}
  void joined(const FilmResult& result) override { write_(result); }

 private:
  std::function<void(const FilmResult&)> write_;
};

/// Makes a shorter film of the pieces of one that was stopped.
void join_what_there_is(const FilmResult& result) {
  RenderConfig config = result.config;
  const double end = static_cast<double>(result.pictures) / static_cast<double>(config.fps);
  std::erase_if(config.timeline, [&](const PromptChange& change) { return change.seconds >= end; });
  config.frames = result.pictures;
  FilmWriter writer(config.output,
                    {.width = config.width, .height = config.height, .fps = config.fps, .encoder = config.encoder},
                    ExistingFilm::kResume);
  writer.join(film_tags(config));
  writer.remove_parts();
}

/// Takes a picture out of the film, a little after its beginning.
void write_thumbnail(const std::filesystem::path& film, const std::filesystem::path& thumbnail, int64_t fps) {
  VideoReader reader(film);
  VideoFrame frame;
  for (int64_t i = 0; i <= fps && reader.next(frame); ++i) {
  }
  write_file_atomically(thumbnail, encode_jpeg(frame.rgb));
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
  config.resume = true;  // what a server that was ended in mid-film left
  const FilmSetup setup = set_up_film(config, model_.transformer_config());
  FilmOrder order = order_film(
      setup, identify_film(setup, model_.device(), model_.dtype(),
                           {ModelPart::kTransformer, ModelPart::kVae, ModelPart::kTokenizer, ModelPart::kTextEncoder}));
  order.prompts = task.prompts;
  FilmResult result{.complete = true};
  if (find_film(config.output, order.identity) == FilmState::kComplete) {
    remove_leftovers(config.output);
  } else {
    check_outputs(setup);
    std::stop_source either;
    const std::stop_callback on_cancel(task.stop, [&] { either.request_stop(); });
    const std::stop_callback on_end(stop, [&] { either.request_stop(); });
    Profile profile;
    Accountant accountant([&](const FilmResult& film) {
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      write_sidecar({film.config, model_.device(), model_.dtype(), setup.plan, film, seconds}, profile, order.identity);
    });
    VideoObserver observer(task.video.id, catalog_, streams_, &accountant);
    result = render_film(setup, model_, order, profile, observer, either.get_token());
  }
  if (!result.complete && stop.stop_requested()) return;  // the next server goes on
  if (!result.complete && result.pictures > 0) join_what_there_is(result);
  if (result.complete || result.pictures > 0) {
    write_thumbnail(config.output, folder_.thumbnail(task.video.id), config.fps);
  }
  catalog_.update(task.video.id, Keep::kOnDisk, [&](Video& video) {
    video.status = result.complete ? VideoStatus::kCompleted : VideoStatus::kCancelled;
    if (!result.complete) video.frames = result.pictures;
    video.completed_at = std::time(nullptr);
    video.progress.stage.clear();
  });
}

}  // namespace flashblock
