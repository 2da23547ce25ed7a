// Whether a finished video is still there and plays: one answer for render, batch and serve.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "settings/render_config.h"

namespace flashblock {

/// What a sidecar states of the video's file (or of its images), which has just been written: `bytes`, `modified_ns`,
/// `sha256`. Throws: MediaError.
nlohmann::ordered_json written_video_json(const std::filesystem::path& video, int64_t frames);

enum class FinishedState {
  kWhole,
  kDamaged,   ///< missing, or it does not play to its end
  kReplaced,  ///< it plays, and is not what was written: it may be somebody's work
};

struct FinishedVideo {
  FinishedState state = FinishedState::kWhole;
  std::string problem;  ///< what was found, a part of a sentence; empty if it is whole
};

/// Compares a video with its sidecar. Quick while size and time of change are those that were noted; otherwise its
/// checksum decides, which `use_cache` keeps in the user's cache. Where nothing was noted, it must play to its end.
FinishedVideo inspect_finished_video(const std::filesystem::path& video, bool use_cache = true);

/// Throws: ConfigError if another file that the configuration wants of a finished video, contact sheet or recording, is
/// missing: only rendering the video makes it.
void check_other_outputs_exist(const RenderConfig& config);

/// Whether a finished video is whole. False: what is left of it may be replaced. Throws: ConfigError if another file
/// has its name.
bool is_whole(const std::filesystem::path& video, bool use_cache = true);

}  // namespace flashblock
