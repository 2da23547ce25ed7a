// Jobs files: many videos in one YAML file. Format: docs/batch.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "batch/job_status.h"
#include "core/error.h"
#include "render/video_identity.h"
#include "settings/config_file.h"

namespace flashblock {

/// One video of a batch.
struct BatchVideo {
  std::string name;  ///< unique within the batch
  std::string job;
  std::string place;                ///< FILE:LINE of its job, or of its row in a prompt list
  std::vector<ConfigLayer> layers;  ///< its settings; later layers win
  /// Why it cannot be rendered, if read_jobs_file or check_videos found a reason.
  std::optional<JobFault> fault;

  // Set by check_videos.
  RenderConfig config;
  std::string model_key;   ///< videos with the same key share a loaded model
  VideoIdentity identity;  ///< on this machine, without checksums
  int64_t blocks = 0;
  int64_t frames = 0;
  bool finished = false;              ///< nothing is left to do
  std::vector<std::string> warnings;  ///< of its prompts, as RenderSetup has them; and of a damaged video
};

/// Reads a jobs file and the prompt lists that it names. A wrong job becomes a video with a fault. Throws: ConfigError
/// if the file as a whole is wrong: not YAML, unknown top-level keys, wrong defaults, no jobs.
std::vector<BatchVideo> read_jobs_file(const std::filesystem::path& file);

/// Everything that is wrong with settings, key by key; one line each, with its place.
std::vector<std::string> setting_faults(const std::vector<ConfigLayer>& layers);

/// A fault with the given message, preceded by the video's place unless the message names a place in that file.
JobFault fault_at(const std::string& place, ExitStatus status, const std::string& message);
/// The exception that is being handled as a fault, with the settings that would help.
JobFault current_fault_at(const std::string& place);

}  // namespace flashblock
