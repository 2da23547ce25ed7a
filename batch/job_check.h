// Everything about a batch's videos that can be checked before the first one starts.
#pragma once

#include <vector>

#include "batch/jobs_file.h"

namespace flashblock {

/// Resolves every video's configuration and checks it against its model, without reading weights. Videos that cannot be
/// rendered get a fault. Two videos that go to one file: the second one has a fault.
void check_videos(std::vector<BatchVideo>& videos);

/// Positions of `videos` in the order in which they are to be rendered: videos of one model together, models in the
/// order in which they first appear.
std::vector<size_t> render_order(const std::vector<BatchVideo>& videos);

}  // namespace flashblock
