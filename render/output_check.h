// Whether the files of a video can be written, before anything is computed.
#pragma once

#include "render/render_setup.h"

namespace flashblock {

/// Throws: ConfigError for output names with the wrong ending, and for containers, codecs, pixel formats, sound and
/// receivers that do not go together or that the FFmpeg in use does not have.
void check_output_names(const RenderConfig& config);

/// Throws: ConfigError for a video, unfinished work or another output that exists and may not be replaced; MediaError
/// for folders that cannot be written or have too little space.
void check_outputs(const RenderSetup& setup);

}  // namespace flashblock
