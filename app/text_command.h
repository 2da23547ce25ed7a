// `flashblock text`: a language model decodes a text behind a prompt.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "app/language_options.h"

namespace flashblock {

/// `flashblock text`.
struct TextRequest {
  LanguageRequest language;
  std::string prompt;            ///< empty: replayed
  std::filesystem::path replay;  ///< prompt as token ids; empty: none
  std::filesystem::path stats;   ///< empty: none
  std::filesystem::path record;  ///< empty: none
  bool overwrite = false;        ///< both of them, if they exist
};

/// The command and what it collects.
class TextCommand {
 public:
  explicit TextCommand(CLI::App& app);

  /// The request, to be called once after parsing. Throws: ConfigError, as LanguageOptions::request, and for no prompt
  /// or two of them.
  std::optional<TextRequest> request();

 private:
  CLI::App& command_;
  LanguageOptions options_;
  TextRequest request_;
  std::string replay_, stats_, record_;
};

/// Decodes and prints the text; returns the program's exit status. What can be refused is refused before weights are
/// read. Throws: Error.
int run_text(const TextRequest& request);

}  // namespace flashblock
