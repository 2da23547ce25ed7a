#include "settings/config_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "core/html_page.h"
#include "settings/model_file.h"
#include "settings/settings_table.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

void read_key(const Setting& setting, const std::string& key, YamlMap& map, const std::filesystem::path& folder,
              RenderConfig& config) {
  const YamlValue* value = map.find(key);
  if (!value) return;
  if (!setting.traits.excludes.empty() && map.find(setting.traits.excludes))
    value->fail(setting.traits.excludes_reason);
  setting.field.read(*value, folder, config);
}

/// Reads a scalar in place of the mapping `group`. False: it stands for no key of it.
bool read_stand_in(const std::string& group, const YamlValue& value, const std::filesystem::path& folder,
                   RenderConfig& config) {
  bool read = false;
  for (const Setting& setting : settings_table()) {
    if (!setting.traits.stands_for_group || split_key(setting.name).first != group) continue;
    setting.field.read(value, folder, config);
    read = true;
  }
  return read;
}

/// Reads the keys of one mapping. `group`: what it is the value of, such as "recipe"; empty: the whole configuration.
void read_mapping(const std::string& group, const YamlValue& values, const std::filesystem::path& folder,
                  RenderConfig& config) {
  YamlMap map(values);
  std::set<std::string> inner;
  for (const Setting& setting : settings_table()) {
    const auto [parent, key] = split_key(setting.name);
    if (parent == group) {
      read_key(setting, key, map, folder, config);
    } else if (group.empty() && inner.insert(parent).second) {
      const YamlValue* value = map.find(parent);
      if (!value || (value->is_scalar() && read_stand_in(parent, *value, folder, config))) continue;
      read_mapping(parent, *value, folder, config);
    }
  }
  map.finish();
}

/// The model in the box, whatever the current folder holds under its name.
std::filesystem::path included_model() {
  constexpr const char* kName = "demo";
  const auto is_model_folder = [](const std::filesystem::path& path) { return exists(path / "model.yaml"); };
  const auto found = find_in_model_folders(kName, is_model_folder);
  return found ? *found : find_model(kName);
}

/// The model that the layers name; the demo model if none does.
std::filesystem::path named_model(const std::vector<ConfigLayer>& layers) {
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    YamlMap map(layer->values);
    const YamlValue* model = map.find("model");
    if (!model) continue;
    const std::filesystem::path beside_the_file = layer->folder / model->text();
    return std::filesystem::exists(beside_the_file) ? std::filesystem::absolute(beside_the_file)
                                                    : find_model(model->text());
  }
  return included_model();
}

/// JSON as YAML without places.
YAML::Node to_yaml(const Json& json) {
  if (json.is_null()) return YAML::Node();
  if (!json.is_structured()) return YAML::Node(json.is_string() ? json.get<std::string>() : json_line(json));
  YAML::Node node(json.is_object() ? YAML::NodeType::Map : YAML::NodeType::Sequence);
  for (const auto& [key, value] : json.items()) {
    json.is_object() ? node.force_insert(key, to_yaml(value)) : node.push_back(to_yaml(value));
  }
  return node;
}

/// The file that a layer was read from, a line of it perhaps; empty: an option or a request.
std::filesystem::path source_of(const ConfigLayer& layer) {
  std::string place = layer.values.place().file;
  const size_t colon = place.rfind(':');
  const bool has_line = colon != std::string::npos && place.find_first_not_of("0123456789", colon + 1) == place.npos;
  if (has_line && !std::filesystem::exists(place)) place.erase(colon);
  std::error_code error;
  if (!std::filesystem::is_regular_file(place, error)) return {};
  return std::filesystem::absolute(place).lexically_normal();
}

uint64_t draw_seed() { return std::random_device{}(); }

void check_config(const RenderConfig& config) {
  check_recipe(config.model.recipe, "recipe");
  if (!config.image.empty() && !config.video.empty()) {
    throw ConfigError("image and video: a video starts from one of them, not from both");
  }
  if (config.resume && config.overwrite) {
    throw ConfigError("resume and overwrite: unfinished work is either continued or replaced");
  }
  video_format(config).validate();
}

/// Calls `write(group, key, setting, value)` for every setting that is written.
template <typename Write>
void for_each_setting(const RenderConfig& config, Write write) {
  for (const Setting& setting : settings_table()) {
    const SettingValue value = setting.field.write(config);
    if (!is_written(setting, value, config)) continue;
    const auto [group, key] = split_key(setting.name);
    write(group, key, setting, value);
  }
}

void emit(YAML::Emitter& out, const SettingValue& value, SettingKind kind) {
  if (value.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, inner] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      emit(out, inner, kind);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    const bool of_maps = !value.empty() && value.front().is_object();
    out << (of_maps ? YAML::Block : YAML::Flow) << YAML::BeginSeq;
    for (const SettingValue& inner : value) emit(out, inner, kind);
    out << YAML::EndSeq;
  } else if (value.is_string() && kind != SettingKind::kPlain) {
    out << YAML::DoubleQuoted << value.get<std::string>();
  } else {
    out << (value.is_string() ? value.get<std::string>() : json_line(value));
  }
}

/// What a value is written as in the metadata of a video.
SettingValue public_value(const Setting& setting, const SettingValue& value, const RenderConfig& config) {
  if (setting.field.public_name) return setting.field.public_name(config);
  const bool is_path = setting.field.kind == SettingKind::kInputFile || setting.field.kind == SettingKind::kOutputFile;
  return is_path ? SettingValue(std::filesystem::path(value.get<std::string>()).filename().string()) : value;
}

/// `keys`: those that are written; null: all.
std::string written_yaml(const RenderConfig& config, PathStyle paths, const std::vector<std::string>* keys) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  std::string open;
  for_each_setting(
      config, [&](const std::string& group, const std::string& key, const Setting& setting, const SettingValue& value) {
        if (keys && std::ranges::find(*keys, setting.name) == keys->end()) return;
        if (group != open) {
          if (!open.empty()) out << YAML::EndMap;
          if (!group.empty()) out << YAML::Key << group << YAML::Value << YAML::BeginMap;
          open = group;
        }
        out << YAML::Key << key << YAML::Value;
        emit(out, paths == PathStyle::kPublic ? public_value(setting, value, config) : value, setting.field.kind);
      });
  if (!open.empty()) out << YAML::EndMap;
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace

ConfigLayer load_config_layer(const std::filesystem::path& file) {
  return {.values = load_yaml(file), .folder = std::filesystem::absolute(file).parent_path()};
}

ConfigLayer make_config_layer(const std::string& option, const std::string& key, const YAML::Node& value) {
  const Setting* const setting = find_setting(key);
  const auto is_given = [&](const std::string& name) { return name.ends_with(option); };  // "-o,--output"
  const bool says_key = setting && std::ranges::any_of(setting->option.names, is_given);
  YAML::Node node = value;
  std::istringstream reversed(std::string(key.rbegin(), key.rend()));
  for (std::string part; std::getline(reversed, part, '.');) {
    YAML::Node parent;
    parent[std::string(part.rbegin(), part.rend())] = node;
    node.reset(parent);  // plain assignment would change the node that parent holds
  }
  return {.values = YamlValue(node, {.file = option, .key = "", .says_key = says_key}),
          .folder = std::filesystem::current_path()};
}

ConfigLayer make_config_layer(const std::string& option, const std::string& key, const Json& value) {
  return make_config_layer(option, key, to_yaml(value));
}

ConfigLayer make_config_layer(const std::string& name, const Json& settings) {
  return {.values = YamlValue(to_yaml(settings), {.file = name, .key = ""}), .folder = std::filesystem::current_path()};
}

void read_settings(const ConfigLayer& layer, RenderConfig& config) {
  read_mapping("", layer.values, layer.folder, config);
}

void read_group(const std::string& group, const YamlValue& values, RenderConfig& config) {
  read_mapping(group, values, "", config);
}

void read_model_defaults(const YamlValue& values, RenderConfig& config) {
  YamlMap map(values);
  for (const Setting& setting : settings_table()) {
    if (setting.traits.model_default) read_key(setting, setting.name, map, "", config);
  }
  map.finish();
}

RenderConfig resolve_config(const std::vector<ConfigLayer>& layers) {
  // Errors in the settings are reported before a model is searched for.
  RenderConfig ignored;
  for (const ConfigLayer& layer : layers) read_settings(layer, ignored);
  return resolve_config(layers, load_model_file(named_model(layers)));
}

RenderConfig resolve_config(const std::vector<ConfigLayer>& layers, ModelDescription model) {
  RenderConfig config;
  config.model = std::move(model);
  static_cast<VideoDefaults&>(config) = config.model.defaults;
  for (const ConfigLayer& layer : layers) {
    read_settings(layer, config);
    if (const auto source = source_of(layer); !source.empty()) config.sources.push_back(source);
  }
  if (!config.seed) config.seed = draw_seed();
  if (config.output.empty()) {
    config.output =
        std::filesystem::current_path() / default_video_name(*config.seed, config.metadata ? config.prompt : "");
    if (!config.standard_output.empty()) config.output.replace_extension(kStreamEnding);
  }
  check_config(config);
  return config;
}

std::string config_yaml(const RenderConfig& config, PathStyle paths) { return written_yaml(config, paths, nullptr); }

std::string config_yaml(const RenderConfig& config, const std::vector<std::string>& keys) {
  return written_yaml(config, PathStyle::kFull, &keys);
}

Json config_json(const RenderConfig& config) {
  SettingValue json = SettingValue::object();
  for_each_setting(config, [&](const std::string& group, const std::string& key, const Setting&,
                               const SettingValue& value) { (group.empty() ? json : json[group])[key] = value; });
  return json;
}

std::string default_video_name(uint64_t seed, const std::string& prompt) {
  constexpr size_t kLongest = 48;  // bytes of the words, so that listings stay readable
  std::string name = "flashblock-" + std::to_string(seed);
  std::string words, word;
  const auto end_word = [&] {
    if (!word.empty() && words.size() + 1 + word.size() <= kLongest) words += "-" + word;
    word.clear();
  };
  for (const char c : prompt) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = std::isalnum(byte) || byte >= 0x80;  // letters of other scripts stay whole
    if (letter) word += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
    if (!letter) end_word();
    if (words.size() >= kLongest) break;
  }
  end_word();
  return name + words + ".mp4";
}

}  // namespace flashblock
