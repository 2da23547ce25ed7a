// The command line that resumes a video.
#pragma once

#include <string>

#include "settings/render_config.h"

namespace flashblock {

/// The command that resumes this video, for a shell.
std::string resume_command(const RenderConfig& config);

/// A word as a POSIX shell reads it, in quotes where needed.
std::string shell_word(const std::string& text);

}  // namespace flashblock
