#include "app/command_line.h"

#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <sstream>

#include "core/error.h"

namespace flashblock {
namespace {

/// Options of the command line that are configuration keys: option, key, and how to read its text.
class SettingOptions {
 public:
  explicit SettingOptions(CLI::App& command) : command_(command) {}

  /// An option whose text is the value of `key`.
  CLI::Option* add(const std::string& option, const std::string& key, const std::string& help,
                   const std::string& type) {
    const std::string name = option.substr(option.rfind(',') + 1);
    const auto take = [this, name, key](const std::string& text) {
      layers_.push_back(make_config_layer(name, key, YAML::Node(text)));
    };
    return command_.add_option_function<std::string>(option, take, help)->type_name(type);
  }

  /// A flag that sets `key` to `value`.
  CLI::Option* add_flag(const std::string& option, const std::string& key, bool value, const std::string& help) {
    const auto take = [this, option, key, value](int64_t) {
      layers_.push_back(make_config_layer(option, key, YAML::Node(value ? "true" : "false")));
    };
    return command_.add_flag_function(option, take, help);
  }

  std::vector<ConfigLayer>& layers() { return layers_; }

 private:
  CLI::App& command_;
  std::vector<ConfigLayer> layers_;
};

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

/// The command `render` and what it collects.
class RenderCommand {
 public:
  explicit RenderCommand(CLI::App& app)
      : command_(*app.add_subcommand("render", "Render one film from a prompt")), settings_(command_) {
    add_prompts();
    add_film();
    add_model();
    add_run();
  }

  bool chosen() const { return command_.parsed(); }

  RenderRequest request() {
    request_.progress = parse_progress_style(request_.quiet ? "none" : progress_);
    if (!config_file_.empty()) request_.layers.push_back(load_config_layer(config_file_));
    for (ConfigLayer& layer : settings_.layers()) request_.layers.push_back(std::move(layer));
    if (!changes_.empty()) request_.layers.push_back(timeline_layer(changes_));
    for (const std::string& text : sets_) request_.layers.push_back(set_layer(text));
    return std::move(request_);
  }

 private:
  void add_prompts() {
    const std::string group = "Prompt";
    auto* positional = settings_.add("PROMPT", "prompt", "What to show", "")->group(group);
    auto* option = settings_.add("--prompt", "prompt", "What to show", "TEXT")->group(group);
    auto* file = settings_.add("--prompt-file", "prompt_file", "What to show, from a text file", "FILE")->group(group);
    positional->excludes(option)->excludes(file);
    option->excludes(file);
    command_
        .add_option("--prompt-at", changes_, "Change the prompt at the frame block that contains this time; repeatable")
        ->type_name("SECONDS=TEXT")
        ->group(group)
        ->allow_extra_args(false);
  }

  void add_film() {
    const std::string group = "Film";
    settings_
        .add("-o,--output", "output", "Where the film goes [flashblock-<seed>-<words of the prompt>.mp4]", "FILE.mp4")
        ->group(group);
    auto* seconds = settings_.add("--seconds", "seconds", "Length [from the model]", "S")->group(group);
    auto* frames = settings_.add("--frames", "frames", "Length in pictures", "N")->group(group);
    seconds->excludes(frames);
    settings_.add("--size", "size", "Picture size [from the model]", "WxH")->group(group);
    settings_.add("--fps", "fps", "Pictures per second [from the model]", "N")->group(group);
    settings_.add("--seed", "seed", "Seed of all random numbers [drawn and reported]", "N")->group(group);
    auto* image = settings_.add("--image", "image", "Start from this picture", "FILE")->group(group);
    settings_.add("--video", "video", "Go on where this film ends", "FILE")->group(group)->excludes(image);
    settings_
        .add("--contact-sheet", "contact_sheet", "Also write a sheet of pictures that shows the film at a glance",
             "FILE.png")
        ->group(group);
    settings_.add_flag("--overwrite", "overwrite", true, "Replace an existing film, or unfinished work")->group(group);
    settings_.add_flag("--no-metadata", "metadata", false, "Leave the prompt out of the film and its JSON")
        ->group(group);
  }

  void add_model() {
    const std::string group = "Model";
    settings_.add("-m,--model", "model", "A model file, a folder with a model.yaml, or a name [demo]", "PATH")
        ->group(group);
    settings_
        .add("--attention", "attention.mode",
             "Attention over earlier frame blocks: exact computes it in every pass, flashblock reuses it [flashblock]",
             "NAME")
        ->group(group);
    settings_.add("--device", "device", "auto, cpu, cuda or cuda:N [auto]", "NAME")->group(group);
    settings_.add("--dtype", "dtype", "auto, float32 or bfloat16 [auto]", "NAME")->group(group);
    settings_.add("--record", "record", "Write all inputs and results to this file", "FILE.safetensors")->group(group);
    settings_.add("--replay", "replay", "Take the inputs from a recorded file", "FILE.safetensors")->group(group);
  }

  void add_run() {
    const std::string group = "Run";
    command_.add_option("-c,--config", config_file_, "Settings from a YAML file; the command line wins")
        ->type_name("FILE")
        ->group(group);
    command_.add_option("--set", sets_, "Any configuration key; repeatable")
        ->type_name("KEY=VALUE")
        ->group(group)
        ->allow_extra_args(false);
    command_
        .add_flag("--dry-run", request_.dry_run,
                  "Check everything, print the resolved configuration and what the film will take")
        ->group(group);
    command_.add_flag("--quiet", request_.quiet, "Print errors only")->group(group);
    command_.add_option("--progress", progress_, "auto, bar, json or none")
        ->type_name("STYLE")
        ->capture_default_str()
        ->group(group);
  }

  CLI::App& command_;
  SettingOptions settings_;
  RenderRequest request_;
  std::string config_file_;
  std::vector<std::string> changes_, sets_;
  std::string progress_ = "auto";
};

std::string hint(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return "; see flashblock " + (chosen.empty() ? "" : chosen.front()->get_name() + " ") + "--help";
}

}  // namespace

Request parse_command_line(int argc, const char* const* argv) {
  CLI::App app("Renders minute-long films from text prompts.", "flashblock");
  app.set_version_flag("--version", "flashblock " FLASHBLOCK_VERSION);
  app.require_subcommand(1);
  RenderCommand render(app);
  InfoRequest info;
  CLI::App* info_command = app.add_subcommand("info", "Say what a checkpoint or a model folder is");
  info_command->add_option("MODEL", info.model, "A weights file, a model file, or a folder")->required();
  info_command->add_flag("--json", info.json, "As JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForVersion&) {
    return {.text = "flashblock " FLASHBLOCK_VERSION "\n"};
  } catch (const CLI::Success& asked) {
    std::ostringstream text;
    app.exit(asked, text, text);
    return {.text = text.str()};
  } catch (const CLI::ParseError& error) {
    throw ConfigError(std::string(error.what()) + hint(app));
  }
  if (render.chosen()) return {.render = render.request()};
  return {.info = info};
}

}  // namespace flashblock
