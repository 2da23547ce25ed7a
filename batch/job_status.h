// What is known of a batch's video: how far it is, how it went.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace flashblock {

enum class JobState {
  kWaiting,
  kRunning,    ///< this run works on it
  kElsewhere,  ///< another run works on it
  kDone,
  kFailed,
  kInterrupted,  ///< begun, and left by its run; finished frame blocks are kept
};

/// Why a video failed.
struct JobFault {
  std::string kind;     ///< configuration, model, memory, media, internal, crash or hang
  int status = 0;       ///< the exit status that stands for it
  std::string message;  ///< one line
};

struct JobStatus {
  JobState state = JobState::kWaiting;
  std::optional<JobFault> fault;
  int64_t attempts = 0;  ///< how often it was begun, the retries included
  int64_t block = 0;     ///< frame blocks on disk
  int64_t blocks = 0;    ///< frame blocks of the video; 0: not known yet
  int64_t frames = 0;    ///< frames on disk
  double frames_per_second = 0;
  double seconds_left = 0;
  double seconds = 0;      ///< spent on it, all attempts of the last run
  std::string stage;       ///< what the worker is at
  std::string output;      ///< the video's file
  std::string begun;       ///< UTC, ISO 8601
  std::string ended;       ///< UTC, ISO 8601
  int64_t changed_ms = 0;  ///< when this record was written, milliseconds since 1970
};

std::string to_string(JobState state);

/// The kind that goes with an exit status.
std::string fault_kind(int status);

nlohmann::ordered_json to_json(const JobStatus& record);
/// Throws: nlohmann::json::exception for what is not a record.
JobStatus job_status_from_json(const nlohmann::ordered_json& json);

/// Now, as UTC in ISO 8601.
std::string utc_now();
int64_t now_ms();

}  // namespace flashblock
