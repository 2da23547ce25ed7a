#include "app/config_options.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/option_group.h"
#include "core/error.h"
#include "core/html_page.h"

namespace flashblock {
namespace {

ConfigLayer set_layer(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw ConfigError("--set: found '" + text + "', wanted KEY=VALUE, such as recipe.sink_frames=3");
  }
  const std::string key = text.substr(0, equals), value = text.substr(equals + 1);
  return yaml_layer("--set", key, value);
}

/// "--output" of "-o,--output".
std::string long_name(const std::string& name) { return name.substr(name.rfind(',') + 1); }

/// The option of a key; empty: it has none.
std::string option_name(const Setting& setting) {
  return setting.option.names.empty() ? "" : long_name(setting.option.names.back());
}

/// The key that an option sets, or the mapping that it stands for.
std::string key_of(const Setting& setting) {
  return setting.traits.stands_for_group ? split_key(setting.name).first : setting.name;
}

/// The help of a setting, with the default in brackets unless the option is a flag.
std::string help_of(const Setting& setting) {
  const std::string& help = setting.option.help.empty() ? setting.help : setting.option.help;
  if (!setting.option.value.empty()) return help;
  const std::string words = setting.traits.model_default ? "from the model" : default_words(setting);
  return words.empty() ? help : help + " [" + words + "]";
}

}  // namespace

ConfigLayer yaml_layer(const std::string& option, const std::string& key, const std::string& value) {
  try {
    return make_config_layer(option, key, YAML::Load(value));
  } catch (const YAML::Exception& error) {
    throw ConfigError(option + " " + key + ": " + error.msg + " in '" + value + "'");
  }
}

CLI::Option* ConfigOptions::add(const Setting& setting, const std::string& name) {
  const SettingOption& option = setting.option;
  const auto take = [this, option = long_name(name), key = key_of(setting)](const std::string& text) {
    settings_.push_back(make_config_layer(option, key, YAML::Node(text)));
  };
  if (!option.value.empty() && !option.type.empty()) {
    return command_.add_flag(name + "{" + option.value + "}", flags_[setting.name],
                             "[" + option.type + "]  " + help_of(setting));
  }
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

void ConfigOptions::add_key(const std::string& key) { add(*find_setting(key)); }

void ConfigOptions::add_configuration() {
  const OptionGroup run(command_, "Run");
  run.add("-c,--config", config_file_, "FILE", "Settings from a YAML file; the command line wins");
  run.add("--set", sets_, "KEY=VALUE", "Any configuration key; repeatable");
}

std::vector<ConfigLayer> ConfigOptions::layers() {
  std::vector<ConfigLayer> layers;
  if (!config_file_.empty()) layers.push_back(load_config_layer(config_file_));
  for (ConfigLayer& layer : settings_) layers.push_back(std::move(layer));
  for (const auto& [key, value] : flags_) {
    if (!value.empty()) layers.push_back(make_config_layer(option_name(*find_setting(key)), key, YAML::Node(value)));
  }
  for (const auto& [key, values] : repeated_) {
    if (values.empty()) continue;
    const Setting& setting = *find_setting(key);
    try {
      layers.push_back(make_config_layer(option_name(setting), key, setting.option.collect(values)));
    } catch (const ConfigError& error) {
      throw ConfigError(option_name(setting) + ": " + error.what());
    }
  }
  for (const std::string& text : sets_) layers.push_back(set_layer(text));
  return layers;
}

std::string option_of(const Remedy& remedy) {
  const Setting* setting = find_setting(remedy.key);
  if (!setting) {
    std::string option = "--" + remedy.key;
    std::replace(option.begin(), option.end(), '_', '-');
    return remedy.value.empty() ? option : option + " " + remedy.value;
  }
  const std::string option = option_name(*setting);
  const std::string& flag_value = setting->option.value;
  if (option.empty() || (!flag_value.empty() && !remedy.value.empty() && remedy.value != flag_value)) {
    return "--set " + remedy.key + "=" + (remedy.value.empty() ? "..." : remedy.value);
  }
  return remedy.value.empty() || !flag_value.empty() ? option : option + " " + remedy.value;
}

std::vector<Remedy> possible_remedies(std::vector<Remedy> remedies, const std::set<std::string>& options) {
  std::erase_if(remedies, [&](const Remedy& remedy) {
    const std::string option = option_of(remedy);
    return !options.contains(option.substr(0, option.find(' ')));
  });
  return remedies;
}

std::vector<std::string> settings_called(const std::string& word, const CLI::App& command) {
  std::string key = word, other = word;
  std::replace(key.begin(), key.end(), '-', '_');
  std::replace(other.begin(), other.end(), '_', '-');
  std::vector<std::string> ways;
  for (const Setting& setting : settings_table()) {
    const std::vector<std::string>& others = setting.option.also_called;
    const bool called = setting.name == key || split_key(setting.name).second == key ||
                        std::find(others.begin(), others.end(), other) != others.end();
    if (!called) continue;
    const std::string option = option_name(setting), &type = setting.option.type;
    if (!option.empty() && command.get_option_no_throw(option)) {
      ways.push_back(option + (type.empty() ? "" : " " + type));
    } else if (option.empty() || setting.field.kind == SettingKind::kPlain) {  // no prompts or files
      std::string values = setting.field.values;
      std::erase(values, '`');
      ways.push_back("--set " + setting.name + "=... (" + values + ")");
    }
  }
  return ways;
}

std::string shell_word(const std::string& text) {
  const std::string plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string resume_command(const RenderConfig& config) {
  const bool streamed = !config.standard_output.empty();
  std::string command = "flashblock render --resume --output " +
                        (streamed ? config.standard_output + " --seed " + std::to_string(*config.seed)
                                  : shell_word(config.output.string()));
  if (config.metadata) return command;
  for (const Setting& setting : settings_table()) {
    const SettingValue value = setting.field.write(config);
    if (!setting.traits.secret || is_empty(value)) continue;
    const std::string option = option_name(setting);
    if (option.empty()) {
      command += " --set " + shell_word(setting.name + "=" + json_line(value));
    } else if (setting.option.spread) {
      for (const std::string& text : setting.option.spread(value)) command += " " + option + " " + shell_word(text);
    } else {
      command += " " + option + " " + shell_word(value.get<std::string>());
    }
  }
  return command;
}

}  // namespace flashblock
