// `flashblock text`: a language model decodes a text behind a prompt.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "settings/text_settings.h"

namespace flashblock {

/// `flashblock text`.
struct TextRequest {
  std::string model;
  std::string prompt;
  std::string system;            ///< empty: none
  bool raw = false;              ///< the prompt as it is, without the chat template
  std::filesystem::path stats;   ///< empty: none
  std::filesystem::path replay;  ///< prompt as token ids; empty: none
  std::filesystem::path record;  ///< empty: none
  TextConfig config;
};

/// The command and what it collects.
class TextCommand {
 public:
  explicit TextCommand(CLI::App& app);

  /// Throws: ConfigError for settings that are unknown, out of range or exclude each other.
  std::optional<TextRequest> request();

 private:
  void add_key(const TextSetting& setting);

  CLI::App& command_;
  TextRequest request_;
  std::vector<std::string> sets_;
  std::string replay_, stats_, record_;
};

/// Decodes and prints the text. Returns the exit status.
int run_text(const TextRequest& request);

}  // namespace flashblock
