// Whether the files that a video leaves can be written, before anything is computed.
#pragma once

#include "render/render_setup.h"

namespace flashblock {

/// Throws: ConfigError for a video, unfinished work or another output that is there already and may not be replaced,
/// and for names that are no good; MediaError for folders that cannot be written or have not enough room.
void check_outputs(const RenderSetup& setup);

}  // namespace flashblock
