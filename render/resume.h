// Which unfinished video to resume, and with which settings.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "settings/config_file.h"

namespace flashblock {

/// The settings that are stored with an unfinished video, or in the sidecar of a complete one. Throws: ConfigError for
/// a file that cannot be read.
std::optional<ConfigLayer> stored_settings(const std::filesystem::path& video);

/// As resolve_config. If the layers say `resume`, the settings that are stored with the unfinished video come before
/// all layers, so that naming the video is enough. Without an output it is the one unfinished video of the current
/// folder whose name fits the prompt. Throws: as resolve_config; ConfigError if several videos fit.
RenderConfig resolve_resumable(const std::vector<ConfigLayer>& layers);

}  // namespace flashblock
