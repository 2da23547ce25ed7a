// Configurations as YAML: layers of settings become one RenderConfig, and a RenderConfig becomes YAML again.
// Keys: docs/config.md.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "settings/render_config.h"
#include "settings/strict_yaml.h"

namespace flashblock {

/// Settings from one place: a configuration file, or one option of the command line.
struct ConfigLayer {
  YamlValue values;              ///< a mapping of configuration keys
  std::filesystem::path folder;  ///< what its relative paths are relative to
};

/// The settings of a configuration file. Throws: ConfigError.
ConfigLayer load_config_layer(const std::filesystem::path& file);

/// One setting, given as `option` on the command line. `key` may be a path of keys, such as recipe.steps.
ConfigLayer make_config_layer(const std::string& option, const std::string& key, const YAML::Node& value);

/// The model that the layers name (the demo model if none does), its recipe and video defaults, then the layers'
/// settings in order, so that the last one wins. A seed is drawn and an output named where none is given. Throws:
/// ConfigError for unknown keys, wrong types, values out of range and contradictions; WeightsError if there is no such
/// model.
RenderConfig resolve_config(const std::vector<ConfigLayer>& layers);

/// The same with this model, whatever the layers name.
RenderConfig resolve_config(const std::vector<ConfigLayer>& layers, ModelDescription model);

/// A configuration that gives `config` again, with every setting in it.
std::string config_yaml(const RenderConfig& config);

/// flashblock-<seed>-<words of the prompt>.mp4.
std::string default_video_name(uint64_t seed, const std::string& prompt);

}  // namespace flashblock
