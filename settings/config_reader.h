// Reads and writes the keys of a configuration.
#pragma once

#include "settings/config_file.h"

namespace flashblock {

/// Sets what `layer` names, and leaves the rest. `model` is not read: see resolve_config.
/// Throws: ConfigError for unknown keys, wrong types, values out of range and contradictions within the layer.
void read_settings(const ConfigLayer& layer, RenderConfig& config);

}  // namespace flashblock
