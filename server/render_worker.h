// Renders the videos of the queue, one after another.
#pragma once

#include <memory>
#include <stop_token>
#include <thread>

#include "render/render.h"
#include "server/request_planner.h"
#include "server/video_catalog.h"
#include "server/video_folder.h"
#include "server/video_stream.h"

namespace flashblock {

/// A thread that takes one video after another from the catalog and renders it. A video that fails is marked as failed,
/// and the next one begins. A cancelled video keeps its finished frame blocks. References outlive the worker.
class RenderWorker {
 public:
  RenderWorker(const RequestPlanner& planner, const VideoFolder& folder, Renderer& renderer, VideoCatalog& catalog,
               VideoStreams& streams);
  /// Stops at the next pass of the transformer. The current video stays in progress: the next server on this folder
  /// resumes it.
  ~RenderWorker();

 private:
  void work(const std::stop_token& stop);
  void render(const VideoCatalog::Task& task, const std::stop_token& stop);

  const RequestPlanner& planner_;
  const VideoFolder& folder_;
  Renderer& renderer_;
  VideoCatalog& catalog_;
  VideoStreams& streams_;
  std::jthread thread_;
};

}  // namespace flashblock
