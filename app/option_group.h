// Options of a command under one heading of --help.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/error.h"

namespace flashblock {

/// Adds options that write to variables, which must outlive the parsing of the command.
class OptionGroup {
 public:
  OptionGroup(CLI::App& command, std::string heading) : command_(command), heading_(std::move(heading)) {}

  /// An option with a value, `type` in --help; its default is shown if it has one. A list: it may be repeated.
  template <typename T>
  CLI::Option* add(const std::string& names, T& value, const std::string& type, const std::string& help) const {
    CLI::Option* option = command_.add_option(names, value, help)->type_name(type)->group(heading_);
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) option->capture_default_str();
    if constexpr (std::is_same_v<T, std::vector<std::string>>) option->allow_extra_args(false);
    return option;
  }

  CLI::Option* add_flag(const std::string& names, bool& value, const std::string& help) const {
    return command_.add_flag(names, value, help)->group(heading_);
  }

  /// One of several words, the first of which is the default. Parsing throws ConfigError for all others.
  template <typename T>
  CLI::Option* add_choice(const std::string& name, T& value, const std::string& type, const std::string& help,
                          std::vector<std::pair<std::string, T>> words) const {
    const std::string first = words.front().first;
    const auto choose = [name, &value, words = std::move(words)](const std::string& found) {
      std::string wanted;
      for (size_t i = 0; i < words.size(); ++i) {
        if (words[i].first == found) return void(value = words[i].second);
        wanted += (i == 0 ? "" : i + 1 < words.size() ? ", " : " or ") + words[i].first;
      }
      throw ConfigError(name + ": found '" + found + "', wanted " + wanted);
    };
    return command_.add_option_function<std::string>(name, choose, help)
        ->type_name(type)
        ->default_str(first)
        ->group(heading_);
  }

 private:
  CLI::App& command_;
  std::string heading_;
};

}  // namespace flashblock
