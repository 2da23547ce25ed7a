// Configurations as YAML and JSON: layers of settings are resolved into one RenderConfig, and a RenderConfig is written
// as a file that can be read again. Keys: settings_table.h, docs/config.md.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "settings/render_config.h"
#include "settings/strict_yaml.h"

namespace flashblock {

/// Settings from one source: a configuration file, or one option of the command line.
struct ConfigLayer {
  YamlValue values;              ///< a mapping of configuration keys
  std::filesystem::path folder;  ///< where its relative paths begin
};

/// The settings of a configuration file. Throws: ConfigError.
ConfigLayer load_config_layer(const std::filesystem::path& file);

/// One setting, given as `option` on the command line. `key` is a dotted name, such as recipe.steps.
ConfigLayer make_config_layer(const std::string& option, const std::string& key, const YAML::Node& value);
ConfigLayer make_config_layer(const std::string& option, const std::string& key, const nlohmann::ordered_json& value);

/// The settings in a JSON object, such as config_json() writes. `name` stands for the file in messages.
ConfigLayer make_config_layer(const std::string& name, const nlohmann::ordered_json& settings);

/// Sets what `layer` gives, and leaves the rest. `model` is only checked for its type: see resolve_config.
/// Throws: ConfigError for unknown keys, wrong types, values out of range and contradictions within the layer.
void read_settings(const ConfigLayer& layer, RenderConfig& config);
/// The same for the keys of one mapping, such as "recipe". Paths begin at the current folder.
void read_group(const std::string& group, const YamlValue& values, RenderConfig& config);
/// The same for the keys that a model file may give under `defaults`.
void read_model_defaults(const YamlValue& values, RenderConfig& config);

/// The model that the layers name (the demo model if none does), its recipe and video defaults, then the layers'
/// settings in order, so that the last one wins. A seed is drawn and an output named where none is given. Throws:
/// ConfigError for unknown keys, wrong types, values out of range and contradictions; WeightsError if there is no such
/// model.
RenderConfig resolve_config(const std::vector<ConfigLayer>& layers);

/// The same with this model, whatever the layers name.
RenderConfig resolve_config(const std::vector<ConfigLayer>& layers, ModelDescription model);

/// How paths are written.
enum class PathStyle {
  kFull,    ///< absolute, so that the configuration can be used again
  kPublic,  ///< the names of files and of the model alone, for the metadata of a video
};

/// A configuration that gives `config` again, with every setting in use.
std::string config_yaml(const RenderConfig& config, PathStyle paths = PathStyle::kFull);
/// The same of these top-level keys alone, as far as they are in use.
std::string config_yaml(const RenderConfig& config, const std::vector<std::string>& keys);
nlohmann::ordered_json config_json(const RenderConfig& config);

/// flashblock-<seed>-<words of the prompt>.mp4.
std::string default_video_name(uint64_t seed, const std::string& prompt);

}  // namespace flashblock
