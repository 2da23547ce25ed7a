// `flashblock render`.
#pragma once

#include <vector>

#include "app/command_line.h"
#include "app/model_file.h"

namespace flashblock {

/// The parts of its model that this film needs: what a replayed record holds need not be made. Throws: Error.
std::vector<ModelPart> needed_parts(const RenderConfig& config);

/// Renders the film that is asked for; returns the program's exit status. Throws: Error.
int run_render(const RenderRequest& request);

}  // namespace flashblock
