// Configuration keys on the command line: loops over the settings table.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "settings/config_file.h"
#include "settings/settings_table.h"

namespace flashblock {

/// The configuration that the command line gives, option by option. Must outlive the parsing of its command.
class ConfigOptions {
 public:
  explicit ConfigOptions(CLI::App& command) : command_(command) {}

  void add_all();                            ///< the options of all keys, --config and --set
  void add_group(const std::string& group);  ///< those of one heading in --help: Prompt, Video, Output, Model
  void add_key(const std::string& key);      ///< those of one key
  void add_configuration();                  ///< --config, --set

  /// The settings given, to be called once: the configuration file, then the options in the order they were given,
  /// those that may be repeated, and --set. Throws: ConfigError.
  std::vector<ConfigLayer> layers();

 private:
  void add(const Setting& setting);
  CLI::Option* add(const Setting& setting, const std::string& name);

  CLI::App& command_;
  std::map<std::string, std::vector<CLI::Option*>> options_;  ///< by key
  std::map<std::string, std::vector<std::string>> repeated_;  ///< what options that may be repeated were given
  std::map<std::string, std::string> flags_;                  ///< by key: values of flags that may have others
  std::vector<ConfigLayer> settings_;
  std::string config_file_;
  std::vector<std::string> sets_;
};

/// One setting given as YAML text. Throws: ConfigError.
ConfigLayer yaml_layer(const std::string& option, const std::string& key, const std::string& value);

/// The option that sets the remedy's key: `--overwrite`, `--dtype float32`, `--set recipe.window_frames=...`. A key
/// that is none of the configuration is an option of the command itself: `--token auto`.
std::string option_of(const Remedy& remedy);

/// Those that can be given by one of `options`: a command on texts has none for the size of frames.
std::vector<Remedy> possible_remedies(std::vector<Remedy> remedies, const std::set<std::string>& options);

/// How `command` is given settings that another program, or a slip, calls `--word`: `--size WxH`, or, where it has no
/// such option, `--set size=...`.
std::vector<std::string> settings_called(const std::string& word, const CLI::App& command);

/// The command that resumes this video, for a shell; with the secrets if they are not stored with the video.
std::string resume_command(const RenderConfig& config);

/// A word as a POSIX shell reads it, in quotes where needed.
std::string shell_word(const std::string& text);

}  // namespace flashblock
