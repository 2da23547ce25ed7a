// Which videos of a batch are there already.
#pragma once

#include "batch/jobs_file.h"

namespace flashblock {

/// Whether the video's output is there, complete, and made from the video's settings and files, on whatever machine.
/// Throws: ConfigError if a complete video of other settings is there and config.overwrite is off.
bool is_video_finished(const BatchVideo& video);

}  // namespace flashblock
