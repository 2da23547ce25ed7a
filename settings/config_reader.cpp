#include "settings/config_reader.h"

#include <set>
#include <utility>

#include "settings/settings_table.h"

namespace flashblock {
namespace {

/// Reads the keys of one mapping.
class GroupReader {
 public:
  GroupReader(std::filesystem::path folder, RenderConfig& config) : folder_(std::move(folder)), config_(config) {}

  /// `group`: what the mapping is the value of, such as "recipe"; empty: the whole configuration.
  void read(const std::string& group, const YamlValue& values) const {
    YamlMap map(values);
    std::set<std::string> inner;
    for (const Setting& setting : settings_table()) {
      const auto [parent, key] = split_key(setting.name);
      if (parent == group) {
        read(setting, key, map);
      } else if (group.empty() && inner.insert(parent).second) {
        if (const YamlValue* value = map.find(parent)) read_inner(parent, *value);
      }
    }
    map.finish();
  }

  void read(const Setting& setting, const std::string& key, YamlMap& map) const {
    const YamlValue* value = map.find(key);
    if (!value) return;
    if (!setting.traits.excludes.empty() && map.find(setting.traits.excludes))
      value->fail(setting.traits.excludes_reason);
    setting.field.read(*value, folder_, config_);
  }

 private:
  void read_inner(const std::string& group, const YamlValue& value) const {
    if (!value.is_scalar()) return read(group, value);
    for (const Setting& setting : settings_table()) {
      const bool stands = setting.traits.stands_for_group && split_key(setting.name).first == group;
      if (stands) return setting.field.read(value, folder_, config_);
    }
    read(group, value);
  }

  std::filesystem::path folder_;
  RenderConfig& config_;
};

}  // namespace

void read_settings(const ConfigLayer& layer, RenderConfig& config) {
  GroupReader(layer.folder, config).read("", layer.values);
}

void read_group(const std::string& group, const YamlValue& values, RenderConfig& config) {
  GroupReader("", config).read(group, values);
}

void read_model_defaults(const YamlValue& values, RenderConfig& config) {
  YamlMap map(values);
  const GroupReader reader("", config);
  for (const Setting& setting : settings_table()) {
    if (setting.traits.model_default) reader.read(setting, setting.name, map);
  }
  map.finish();
}

}  // namespace flashblock
