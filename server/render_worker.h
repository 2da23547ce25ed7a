// Renders the videos of the queue, one after another.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "render/render.h"
#include "server/request_planner.h"
#include "server/video_catalog.h"
#include "server/video_folder.h"
#include "server/video_stream.h"

namespace flashblock {

/// A thread that takes one video after another from the catalog and renders it. Where a failure passes (judge_failure)
/// the video keeps its finished frame blocks and its place, and continues when there is space, memory or a device
/// again; any other failure is the video's own, and the next one begins. A cancelled video keeps its finished frame
/// blocks. References outlive the worker.
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
  /// Tells clients that a video has ended once that is on disk; waits for space.
  void end(const std::string& id, const std::function<void(Video&)>& change, const std::stop_token& stop);
  /// Puts a video back into the queue, or ends it as failed.
  void handle_failure(const std::string& id, const std::exception_ptr& fault, const std::stop_token& stop);
  /// Waits until another attempt may succeed: there is more space, a client wants something, or some time has passed.
  void wait_for_another_attempt(const std::stop_token& stop);
  DiskState disk_state(const std::string& id) const;
  /// Writes a line to the log, once where it follows itself.
  void log(const std::string& line);

  const RequestPlanner& planner_;
  const VideoFolder& folder_;
  Renderer& renderer_;
  VideoCatalog& catalog_;
  VideoStreams& streams_;

  /// Attempts in a row at one video that did not finish a frame block.
  struct Attempts {
    int64_t count = 0;
    int64_t block = -1;  ///< of the video when it failed
  };
  std::map<std::string, Attempts> attempts_;  ///< by id, of videos that wait
  std::chrono::milliseconds pause_;           ///< before the next attempt, unless there is more space before
  std::string logged_;                        ///< the last line of log()
  std::jthread thread_;
};

}  // namespace flashblock
