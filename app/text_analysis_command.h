// `flashblock analyze text`.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/named_attention.h"
#include "app/language_options.h"

namespace flashblock {

/// Texts to decode exactly and with reused attention.
struct TextAnalysisRequest {
  LanguageRequest language;
  std::vector<std::string> prompts;
  std::vector<NamedAttention> policies;  ///< named as on the command line
  std::filesystem::path page;            ///< NAME.html; empty: named after the model
  bool overwrite = false;
  bool quiet = false;
};

/// The command line of `analyze text`.
class TextAnalysisCommand {
 public:
  explicit TextAnalysisCommand(CLI::App& analyze);

  /// The request, to be called once after parsing. Throws: ConfigError, as LanguageOptions::request, for policies that
  /// are wrong, and without a prompt; MediaError for a file of prompts that cannot be read.
  std::optional<TextAnalysisRequest> request();

 private:
  CLI::App& command_;
  LanguageOptions options_;
  TextAnalysisRequest request_;
  std::vector<std::string> policies_;
  std::string page_, prompts_file_;
};

/// Measures, prints a table and writes page and JSON; returns the program's exit status. Throws: Error.
int run_text_analysis(const TextAnalysisRequest& request);

}  // namespace flashblock
