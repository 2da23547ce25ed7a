// Checks of a batch's videos before the first one starts.
#pragma once

#include <vector>

#include "batch/jobs_file.h"

namespace flashblock {

/// Resolves every video's configuration and checks it against its model, without reading weights. Videos that cannot be
/// rendered get a fault; so does the second of two videos with the same output.
void check_videos(std::vector<BatchVideo>& videos);

/// Positions in `videos`, in rendering order: videos of one model together, models in the
/// order in which they first appear.
std::vector<size_t> render_order(const std::vector<BatchVideo>& videos);

}  // namespace flashblock
