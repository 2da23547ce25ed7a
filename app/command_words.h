// What the command line offers, as plain data for help, man page and completions: read from CLI11's tree.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace flashblock {

/// An option, or an argument without a dash.
struct OptionWords {
  std::vector<std::string> names;    ///< "-o", "--output"; empty: an argument without a dash
  std::string value;                 ///< its name in --help, "FILE.mp4"; empty: a flag
  std::string range;                 ///< "from 1 to 100"; empty: none is stated
  std::vector<std::string> choices;  ///< the words of a value such as "auto|N" that can be completed: "auto"
  std::string help, default_value;   ///< without a full stop; empty: none
  std::string group;                 ///< heading in --help
};

/// A command with its options and its commands; hidden ones are left out.
struct CommandWords {
  std::string name;  ///< with those before it: "flashblock analyze fidelity"
  std::string help;  ///< a sentence without a full stop
  std::vector<OptionWords> options;
  std::vector<CommandWords> commands;

  /// The last word of the name.
  std::string word() const { return name.substr(name.rfind(' ') + 1); }
};

/// What a value is, from its name in --help: "FILE.mp4" and "PATH" are files, "FOLDER" is one too.
bool is_file_value(const std::string& value);

CommandWords command_words(const CLI::App& app);

}  // namespace flashblock
