// Checks of a batch's videos: which can be rendered, and which are done already.
#pragma once

#include <vector>

#include "batch/jobs_file.h"

namespace flashblock {

/// Resolves every video's configuration and checks it against its model and against the files that exist under the
/// names of its outputs, without reading weights. Videos that cannot be rendered get a fault; so does the second of two
/// videos with the same output.
void check_videos(std::vector<BatchVideo>& videos);

/// Whether the output exists, is whole (is_whole), and was made from the video's settings and files, on whatever
/// machine. Throws: ConfigError if a video of other settings, complete or unfinished, or another file has its name and
/// config.overwrite is off.
bool is_video_finished(const BatchVideo& video);

/// What is true now of a checked video whose status was saved by some run, on whatever machine. A device or a model
/// that this machine lacks says nothing about the video.
JobStatus current_status(const BatchVideo& video, JobStatus saved);

/// Positions in `videos`, in rendering order: videos of one model together, models in the order in which they first
/// appear.
std::vector<size_t> render_order(const std::vector<BatchVideo>& videos);

}  // namespace flashblock
