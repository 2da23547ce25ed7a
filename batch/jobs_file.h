// Jobs files: many videos in one YAML file. Format: docs/batch.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "batch/job_status.h"
#include "render/video_identity.h"
#include "settings/config_file.h"

namespace flashblock {

/// One video of a batch.
struct BatchVideo {
  std::string name;  ///< no two videos of a batch share it
  std::string job;
  std::string place;                ///< FILE:LINE of its job, or of its row in a list
  std::vector<ConfigLayer> layers;  ///< what the files say of it
  /// Why it cannot be rendered; found in the files, or by check_videos.
  std::optional<JobFault> fault;

  // From here on check_videos' findings.
  RenderConfig config;
  std::string model_key;   ///< videos with the same key share a loaded model
  VideoIdentity identity;  ///< on this machine, without checksums
  int64_t blocks = 0;
  int64_t frames = 0;
};

/// Reads a jobs file and the lists that it names, and makes jobs into videos. A job that is wrong becomes a video with
/// a fault. Throws: ConfigError if the file as a whole is of no use: no YAML, unknown keys, wrong defaults, no jobs.
std::vector<BatchVideo> read_jobs_file(const std::filesystem::path& file);

/// What a video's fault says of `error`, with the video's place in front where the message has none.
JobFault fault_at(const std::string& place, int status, const std::string& message);

}  // namespace flashblock
