// What a supervisor and its worker processes send each other: one JSON object per line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "render/render.h"
#include "settings/render_config.h"

namespace flashblock {

/// A video to render.
struct WorkerJob {
  std::string name;
  int64_t attempt = 1;
  RenderConfig config;
  std::filesystem::path preview;  ///< where its preview image goes
};

/// What happens in a worker. kDone, kStopped and kFailed end the video that it renders.
struct WorkerEvent {
  enum class Kind {
    kStage,
    kProgress,
    kDone,
    kStopped,
    kFailed,
    kExited,  ///< the process has ended; not a message, but added by the parent
  };

  Kind kind = Kind::kProgress;
  std::string stage;        ///< kStage, kProgress
  RenderProgress progress;  ///< blocks and frames, without counters; kDone: frames only
  int status = 0;           ///< kFailed: the exit status for the error; kExited: the exit status, or minus the signal
  std::string message;      ///< one line. kFailed: the error; kExited: the last line on standard error
};

/// One line, with its end.
std::string to_line(const WorkerJob& job);
std::string to_line(const WorkerEvent& event);
/// Throws: nlohmann::json::exception if the line is no job; ConfigError if its configuration is wrong.
WorkerJob parse_worker_job(const std::string& line);
/// Throws: nlohmann::json::exception if the line is no event.
WorkerEvent parse_worker_event(const std::string& line);

}  // namespace flashblock
