// Which parts of a video are computed in 8 bits, in words.
#pragma once

#include <string>

#include "pipeline/loaded_model.h"
#include "settings/render_config.h"

namespace flashblock {

/// The parts that `precision.*` asks for in 8 bits: those that get them, those that stay native all the same and why,
/// and those for which this device has no kernels, where 8 bits are right and slower than native. One line; empty:
/// nothing is asked for. Throws: as resolve_device and resolve_dtype.
std::string precision_text(const RenderConfig& config, const ModelSizes& model);

}  // namespace flashblock
