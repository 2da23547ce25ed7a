// `flashblock render`.
#pragma once

#include "app/command_line.h"

namespace flashblock {

/// Renders the video that is asked for; returns the program's exit status. Throws: Error.
int run_render(const RenderRequest& request);

}  // namespace flashblock
