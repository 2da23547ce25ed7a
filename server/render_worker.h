// Renders the videos of the queue, one after another.
#pragma once

#include <memory>
#include <stop_token>
#include <thread>

#include "pipeline/loaded_model.h"
#include "server/request_planner.h"
#include "server/video_catalog.h"
#include "server/video_folder.h"
#include "server/video_streams.h"

namespace flashblock {

/// A thread that takes one video after another from the catalog and renders it with a model that stays loaded. A video
/// that fails is marked so, and the next one begins. Everything given outlives the worker.
class RenderWorker {
 public:
  RenderWorker(const RequestPlanner& planner, const VideoFolder& folder, LoadedModel& model, VideoCatalog& catalog,
               VideoStreams& streams);
  /// Stops between two passes. The video that runs is still in progress: the next server on this folder goes on with
  /// it.
  ~RenderWorker();

 private:
  void work(const std::stop_token& stop);
  void render(const VideoCatalog::Task& task, const std::stop_token& stop);

  const RequestPlanner& planner_;
  const VideoFolder& folder_;
  LoadedModel& model_;
  VideoCatalog& catalog_;
  VideoStreams& streams_;
  std::jthread thread_;
};

}  // namespace flashblock
