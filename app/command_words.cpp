#include "app/command_words.h"

#include <algorithm>
#include <cctype>

namespace flashblock {
namespace {

/// "N:INT in [1 - 9]" of --help as "N" and "from 1 to 9".
void split_value(const std::string& text, OptionWords& words) {
  words.value = text;
  for (const char* check : {":INT in [", ":FLOAT in ["}) {
    const size_t at = text.find(check);
    if (at == text.npos) continue;
    words.value = text.substr(0, at);
    const size_t begin = at + std::string(check).size(), dash = text.find(" - ", begin), end = text.find(']', begin);
    if (dash == text.npos || end == text.npos) continue;
    words.range = "from " + text.substr(begin, dash - begin) + " to " + text.substr(dash + 3, end - dash - 3);
  }
  for (const auto& [check, range] : {std::pair(":POSITIVE", "above 0"), std::pair(":NONNEGATIVE", "0 or more")}) {
    const size_t at = text.find(check);
    if (at == text.npos) continue;
    words.value = text.substr(0, at);
    words.range = range;
  }
}

/// The words of "auto|cuda:N" that are complete: those without capitals.
std::vector<std::string> choices_of(const std::string& value) {
  std::vector<std::string> choices;
  for (size_t begin = 0; begin <= value.size();) {
    const size_t end = std::min(value.find('|', begin), value.size());
    const std::string word = value.substr(begin, end - begin);
    const bool whole = std::none_of(word.begin(), word.end(), [](unsigned char c) { return std::isupper(c); });
    if (value.find('|') != value.npos && !word.empty() && whole) choices.push_back(word);
    begin = end + 1;
  }
  return choices;
}

OptionWords option_words(const CLI::Option& option) {
  OptionWords words{.help = option.get_description(), .group = option.get_group()};
  for (const std::string& name : option.get_snames()) words.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) words.names.push_back("--" + name);
  if (words.names.empty()) {
    words.value = option.get_name(true);
    words.choices = choices_of(option.get_type_name());
  } else if (option.get_items_expected_max() > 0) {
    split_value(option.get_type_name(), words);
    words.choices = choices_of(words.value);
    words.default_value = option.get_default_str();
  }
  return words;
}

CommandWords words_below(const CLI::App& app, const std::string& front) {
  CommandWords words{.name = front + app.get_name(), .help = app.get_description()};
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_group().empty()) words.options.push_back(option_words(*option));
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* c) { return !c->get_group().empty(); })) {
    words.commands.push_back(words_below(*command, words.name + " "));
  }
  return words;
}

}  // namespace

bool is_file_value(const std::string& value) {
  if (value.find('=') != value.npos && value.rfind("FILE", 0) != 0) return false;
  return value.rfind("FILE", 0) == 0 || value == "PATH" || value == "FOLDER" || value == "MODEL" ||
         value.find(".yaml") != value.npos || value.find(".html") != value.npos || value.find(".json") != value.npos;
}

CommandWords command_words(const CLI::App& app) { return words_below(app, ""); }

}  // namespace flashblock
