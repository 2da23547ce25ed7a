#include "app/config_options.h"

#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"

namespace flashblock {
namespace {

ConfigLayer set_layer(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw ConfigError("--set: found '" + text + "', wanted KEY=VALUE, such as recipe.sink_frames=3");
  }
  const std::string key = text.substr(0, equals), value = text.substr(equals + 1);
  try {
    return make_config_layer("--set", key, YAML::Load(value));
  } catch (const YAML::Exception& error) {
    throw ConfigError("--set " + key + ": " + error.msg + " in '" + value + "'");
  }
}

/// "--output" of "-o,--output".
std::string long_name(const std::string& name) { return name.substr(name.rfind(',') + 1); }

/// The help of a setting, with the default in brackets unless the option is a flag.
std::string help_of(const Setting& setting) {
  if (!setting.option.value.empty()) return setting.option.help.empty() ? setting.help : setting.option.help;
  const std::string words = setting.traits.model_default ? "from the model" : default_words(setting);
  return words.empty() ? setting.help : setting.help + " [" + words + "]";
}

}  // namespace

CLI::Option* ConfigOptions::add(const Setting& setting, const std::string& name) {
  const SettingOption& option = setting.option;
  const auto take = [this, option = long_name(name), key = setting.name](const std::string& text) {
    settings_.push_back(make_config_layer(option, key, YAML::Node(text)));
  };
  if (!option.value.empty()) {
    return command_.add_flag_function(
        name, [take, value = option.value](int64_t) { take(value); }, help_of(setting));
  }
  if (option.collect) {
    return command_.add_option(name, repeated_[setting.name], help_of(setting))
        ->type_name(option.type)
        ->allow_extra_args(false);
  }
  const bool positional = name.front() != '-';
  return command_.add_option_function<std::string>(name, take, help_of(setting))
      ->type_name(positional ? "" : option.type);
}

void ConfigOptions::add(const Setting& setting) {
  std::vector<CLI::Option*>& added = options_[setting.name];
  for (const std::string& name : setting.option.names) {
    CLI::Option* option = add(setting, name)->group(setting.option.group);
    for (CLI::Option* other : added) option->excludes(other);
    if (!setting.traits.excludes.empty()) {
      for (CLI::Option* other : options_[setting.traits.excludes]) option->excludes(other);
    }
    added.push_back(option);
  }
}

void ConfigOptions::add_all() {
  for (const Setting& setting : settings_table()) add(setting);
  add_configuration();
}

void ConfigOptions::add_group(const std::string& group) {
  for (const Setting& setting : settings_table()) {
    if (setting.option.group == group) add(setting);
  }
}

void ConfigOptions::add_key(const std::string& key) { add(find_setting(key)); }

void ConfigOptions::add_configuration() {
  const std::string group = "Run";
  command_.add_option("-c,--config", config_file_, "Settings from a YAML file; the command line wins")
      ->type_name("FILE")
      ->group(group);
  command_.add_option("--set", sets_, "Any configuration key; repeatable")
      ->type_name("KEY=VALUE")
      ->group(group)
      ->allow_extra_args(false);
}

std::vector<ConfigLayer> ConfigOptions::layers() {
  std::vector<ConfigLayer> layers;
  if (!config_file_.empty()) layers.push_back(load_config_layer(config_file_));
  for (ConfigLayer& layer : settings_) layers.push_back(std::move(layer));
  for (const auto& [key, values] : repeated_) {
    if (values.empty()) continue;
    const SettingOption& option = find_setting(key).option;
    layers.push_back(make_config_layer(long_name(option.names.front()), key, option.collect(values)));
  }
  for (const std::string& text : sets_) layers.push_back(set_layer(text));
  return layers;
}

}  // namespace flashblock
