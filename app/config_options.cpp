#include "app/config_options.h"

#include <yaml-cpp/yaml.h>

#include <utility>

#include "core/error.h"

namespace flashblock {
namespace {

/// Splits NAME=VALUE at the first `=`.
std::pair<std::string, std::string> split_assignment(const std::string& option, const std::string& text,
                                                     const std::string& wanted) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw ConfigError(option + ": found '" + text + "', wanted " + wanted);
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

ConfigLayer set_layer(const std::string& text) {
  const auto [key, value] = split_assignment("--set", text, "KEY=VALUE, such as recipe.sink_frames=3");
  try {
    return make_config_layer("--set", key, YAML::Load(value));
  } catch (const YAML::Exception& error) {
    throw ConfigError("--set " + key + ": " + error.msg + " in '" + value + "'");
  }
}

ConfigLayer timeline_layer(const std::vector<std::string>& changes) {
  YAML::Node timeline;
  for (const std::string& text : changes) {
    const auto [seconds, prompt] = split_assignment("--prompt-at", text, "SECONDS=TEXT, such as '20=the rain stops'");
    YAML::Node change;
    change["at"] = seconds;
    change["prompt"] = prompt;
    timeline.push_back(change);
  }
  return make_config_layer("--prompt-at", "timeline", timeline);
}

}  // namespace

CLI::Option* ConfigOptions::add(const std::string& option, const std::string& key, const std::string& help,
                                const std::string& type) {
  const std::string name = option.substr(option.rfind(',') + 1);
  const auto take = [this, name, key](const std::string& text) {
    settings_.push_back(make_config_layer(name, key, YAML::Node(text)));
  };
  return command_.add_option_function<std::string>(option, take, help)->type_name(type);
}

CLI::Option* ConfigOptions::add_flag(const std::string& option, const std::string& key, bool value,
                                     const std::string& help) {
  const auto take = [this, option, key, value](int64_t) {
    settings_.push_back(make_config_layer(option, key, YAML::Node(value ? "true" : "false")));
  };
  return command_.add_flag_function(option, take, help);
}

void ConfigOptions::add_prompts() {
  const std::string group = "Prompt";
  auto* positional = add("PROMPT", "prompt", "What to show", "")->group(group);
  auto* option = add("--prompt", "prompt", "What to show", "TEXT")->group(group);
  auto* file = add("--prompt-file", "prompt_file", "What to show, from a text file", "FILE")->group(group);
  positional->excludes(option)->excludes(file);
  option->excludes(file);
  command_
      .add_option("--prompt-at", changes_, "Change the prompt at the frame block that contains this time; repeatable")
      ->type_name("SECONDS=TEXT")
      ->group(group)
      ->allow_extra_args(false);
}

void ConfigOptions::add_video() {
  const std::string group = "Video";
  auto* seconds = add("--seconds", "seconds", "Length [from the model]", "S")->group(group);
  auto* frames = add("--frames", "frames", "Length in frames", "N")->group(group);
  seconds->excludes(frames);
  add("--size", "size", "Frame size [from the model]", "WxH")->group(group);
  add("--fps", "fps", "Frames per second [from the model]", "N")->group(group);
  add("--seed", "seed", "Seed of all random numbers [drawn and reported]", "N")->group(group);
  auto* image = add("--image", "image", "Start from this frame", "FILE")->group(group);
  add("--video", "video", "Go on where this video ends", "FILE")->group(group)->excludes(image);
}

void ConfigOptions::add_model() {
  const std::string group = "Model";
  add("-m,--model", "model", "A model file, a folder with a model.yaml, or a name [demo]", "PATH")->group(group);
  add("--device", "device", "auto, cpu, cuda or cuda:N [auto]", "NAME")->group(group);
  add("--dtype", "dtype", "auto, float32 or bfloat16 [auto]", "NAME")->group(group);
  add_flag("--no-cache", "cache", false, "Neither use nor keep encoded prompts and checksums of earlier runs")
      ->group(group);
  add_flag("--offload", "offload", true,
           "Keep the transformer's layers outside the device's memory, two at a time in it")
      ->group(group);
}

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
  if (!changes_.empty()) layers.push_back(timeline_layer(changes_));
  for (const std::string& text : sets_) layers.push_back(set_layer(text));
  return layers;
}

}  // namespace flashblock
