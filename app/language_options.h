// The command line that commands on language models have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "language/language_folder.h"
#include "settings/text_settings.h"

namespace flashblock {

/// A language model, its system message, and its settings.
struct LanguageRequest {
  std::string model;   ///< empty: the one in the box
  std::string system;  ///< message before the prompt; empty: none
  bool raw = false;    ///< prompts as they are, without the chat template
  TextConfig config;
};

/// The options of a LanguageRequest. Must outlive the parsing of its command.
class LanguageOptions {
 public:
  explicit LanguageOptions(CLI::App& command) : command_(command) {}

  void add_prompt();  ///< --system, --raw
  void add_model();   ///< --model and the options of keys
  void add_set();     ///< --set

  /// To be called once. Throws: ConfigError for settings that are unknown, out of range or exclude each other.
  LanguageRequest request();

 private:
  CLI::App& command_;
  LanguageRequest request_;
  std::vector<std::string> sets_;
};

/// Opens the folder of the model. Throws: ConfigError if none is named and none is in the box; as find_language_model
/// and open_language_folder.
LanguageFolder open_language_folder(const LanguageRequest& request);

/// A prompt as tokens, by the chat template unless `request.raw`. Throws: WeightsError for a folder without tokenizer.
std::vector<int64_t> prompt_ids(const LanguageRequest& request, const LanguageFolder& folder,
                                const std::string& prompt);

}  // namespace flashblock
