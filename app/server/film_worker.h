// Renders the films of the queue, one after another.
#pragma once

#include <memory>
#include <stop_token>
#include <thread>

#include "app/server/film_planner.h"
#include "app/server/film_streams.h"
#include "app/server/video_catalog.h"
#include "app/server/video_folder.h"
#include "pipeline/loaded_model.h"

namespace flashblock {

/// A thread that takes one video after another from the catalog and renders it with a model that stays loaded. A film
/// that fails is marked so, and the next one begins. Everything given outlives the worker.
class FilmWorker {
 public:
  FilmWorker(const FilmPlanner& planner, const VideoFolder& folder, LoadedModel& model, VideoCatalog& catalog,
             FilmStreams& streams);
  /// Stops between two passes. The film that runs is still in progress: the next server on this folder goes on with it.
  ~FilmWorker();

 private:
  void work(const std::stop_token& stop);
  void render(const VideoCatalog::Task& task, const std::stop_token& stop);

  const FilmPlanner& planner_;
  const VideoFolder& folder_;
  LoadedModel& model_;
  VideoCatalog& catalog_;
  FilmStreams& streams_;
  std::jthread thread_;
};

}  // namespace flashblock
