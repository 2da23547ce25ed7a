// Commands that only print: help, completion, man, and --version.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace flashblock {

/// Adds them to the program's command line, which must be complete before text() is called.
class AboutCommands {
 public:
  explicit AboutCommands(CLI::App& app);

  /// What the command prints, if it is one of these. Throws: ConfigError for an unknown topic or shell.
  std::optional<std::string> text() const;
  /// What --version prints.
  std::string version() const;

 private:
  std::string help_text() const;

  CLI::App& app_;
  CLI::App &help_, &completion_, &manual_;
  CLI::Option* json_ = nullptr;
  bool json_given_ = false;
  std::vector<std::string> topic_;
  std::string shell_;
};

}  // namespace flashblock
