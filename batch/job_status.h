// The status of one video of a batch.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/error_report.h"

namespace flashblock {

enum class JobState {
  kWaiting,
  kRunning,    ///< this run renders it
  kElsewhere,  ///< another run renders it
  kDone,
  kFailed,
  kInterrupted,  ///< started and not finished; the finished frame blocks are kept
};

/// Why a video failed.
struct JobFault {
  std::string kind;               ///< configuration, model, memory, media, internal, crash or hang
  int status = 0;                 ///< the exit status for it
  std::string message;            ///< one line, FILE:LINE: PROBLEM
  std::vector<std::string> more;  ///< further faults that were found with it, in the same form
};

struct JobStatus {
  JobState state = JobState::kWaiting;
  std::optional<JobFault> fault;
  int64_t attempts = 0;  ///< how often it was started, retries included
  int64_t block = 0;     ///< frame blocks on disk
  int64_t blocks = 0;    ///< frame blocks of the video; 0: unknown
  int64_t frames = 0;    ///< frames on disk
  double frames_per_second = 0;
  double seconds_left = 0;
  double seconds = 0;      ///< rendering time, over all attempts of the last run
  std::string stage;       ///< the render's current stage
  std::string output;      ///< the video file
  std::string started;     ///< UTC, ISO 8601
  std::string ended;       ///< UTC, ISO 8601
  int64_t changed_ms = 0;  ///< when the state or the progress last changed, milliseconds since 1970
};

std::string to_string(JobState state);

/// The kind of fault that an exit status stands for.
std::string fault_kind(int status);

/// The error and what would help, as settings of a job. A batch resumes what is unfinished by itself.
std::string job_error_line(const ErrorReport& report);

nlohmann::ordered_json to_json(const JobStatus& status);
/// Throws: nlohmann::json::exception if the JSON is not a job status.
JobStatus job_status_from_json(const nlohmann::ordered_json& json);

/// The current time as UTC in ISO 8601.
std::string utc_now();
/// The current time in milliseconds since 1970.
int64_t now_ms();

}  // namespace flashblock
