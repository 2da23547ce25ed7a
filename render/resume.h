// `--resume`: which unfinished video is meant, with which settings, and how to ask for it.
#pragma once

#include <string>
#include <vector>

#include "settings/config_file.h"

namespace flashblock {

/// As resolve_config. If the layers ask to resume, the settings that were kept with the unfinished video come before
/// all layers, so that naming the video is enough. Without an output it is the one unfinished video of the current
/// folder whose name fits the prompt. Throws: as resolve_config; ConfigError if several videos fit.
RenderConfig resolve_resumable(const std::vector<ConfigLayer>& layers);

/// The command that goes on with this video, for a shell.
std::string resume_command(const RenderConfig& config);

/// A word as a POSIX shell reads it: in quotes where it must be.
std::string shell_word(const std::string& text);

}  // namespace flashblock
