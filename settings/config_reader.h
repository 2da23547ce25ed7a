// Reads settings into a RenderConfig: loops over the settings table.
#pragma once

#include <string>

#include "settings/config_file.h"

namespace flashblock {

/// Sets what `layer` gives, and leaves the rest. `model` is only checked for its type: see resolve_config.
/// Throws: ConfigError for unknown keys, wrong types, values out of range and contradictions within the layer.
void read_settings(const ConfigLayer& layer, RenderConfig& config);

/// The same for the keys of one mapping, such as "recipe". Paths begin at the current folder.
void read_group(const std::string& group, const YamlValue& values, RenderConfig& config);

/// The same for the keys that a model file may give under `defaults`.
void read_model_defaults(const YamlValue& values, RenderConfig& config);

}  // namespace flashblock
