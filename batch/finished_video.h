// Recognizes videos of a batch that are already done.
#pragma once

#include "batch/jobs_file.h"

namespace flashblock {

/// Whether the output exists, is complete, and was made from the video's settings and files, on whatever machine.
/// Throws: ConfigError if a complete video of other settings exists and config.overwrite is off.
bool is_video_finished(const BatchVideo& video);

}  // namespace flashblock
