// Which videos can share a loaded model.
#pragma once

#include <string>

#include "settings/render_config.h"

namespace flashblock {

/// Configurations with equal keys load the same weights in the same way.
std::string model_key(const RenderConfig& config);

}  // namespace flashblock
