// Options that several commands share. Each of them sets a configuration key.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "settings/config_file.h"

namespace flashblock {

/// The configuration that the command line gives, option by option. Lives as long as the command it adds to is parsed.
class ConfigOptions {
 public:
  explicit ConfigOptions(CLI::App& command) : command_(command) {}

  void add_prompts();        ///< PROMPT, --prompt, --prompt-file, --prompt-at
  void add_video();          ///< --seconds, --frames, --size, --fps, --seed, --image, --video
  void add_model();          ///< --model, --device, --dtype, --no-cache, --offload
  void add_configuration();  ///< --config, --set

  /// An option whose text is the value of the configuration key `key`.
  CLI::Option* add(const std::string& option, const std::string& key, const std::string& help, const std::string& type);
  /// A flag that sets `key` to `value`.
  CLI::Option* add_flag(const std::string& option, const std::string& key, bool value, const std::string& help);

  /// What was given, to be called once: the configuration file, then the options in the order they were given, changes
  /// of the prompt, and --set. Throws: ConfigError.
  std::vector<ConfigLayer> layers();

 private:
  CLI::App& command_;
  std::vector<ConfigLayer> settings_;
  std::string config_file_;
  std::vector<std::string> changes_, sets_;
};

}  // namespace flashblock
