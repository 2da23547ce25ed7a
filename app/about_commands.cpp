#include "app/about_commands.h"

#include <algorithm>

#include "app/build_info.h"
#include "app/command_words.h"
#include "app/completion.h"
#include "app/help_topics.h"
#include "app/manual_page.h"
#include "core/error.h"
#include "core/html_page.h"
#include "settings/settings_table.h"
#include "settings/strict_yaml.h"

namespace flashblock {
namespace {

/// The program's words, with those values that completion knows and --help does not list.
CommandWords completed_words(const CLI::App& app) {
  std::vector<std::string> keys;
  for (const Setting& setting : settings_table()) keys.push_back(setting.name + "=");
  CommandWords program = command_words(app);
  std::vector<std::string> topics = help_words();
  for (const CommandWords& command : program.commands) topics.push_back(command.word());
  for (CommandWords& command : program.commands) {
    for (OptionWords& option : command.options) {
      if (option.value == "KEY=VALUE") option.choices = keys;
      if (option.value == "TOPIC") option.choices = topics;
    }
  }
  return program;
}

/// The command that the words name, as far as they name one.
CLI::App* find_command(CLI::App& app, const std::vector<std::string>& words) {
  CLI::App* command = &app;
  for (const std::string& word : words) {
    const auto found = command->get_subcommands([&](const CLI::App* c) { return c->get_name() == word; });
    if (found.empty()) return nullptr;
    command = found.front();
  }
  return command;
}

/// Its name with those before it: "flashblock analyze fidelity".
std::string full_name_of(const CLI::App& command) {
  const CLI::App* const outer = command.get_parent();
  return outer ? full_name_of(*outer) + " " + command.get_name() : command.get_name();
}

}  // namespace

AboutCommands::AboutCommands(CLI::App& app)
    : app_(app),
      help_(*app.add_subcommand("help", "Help on a command, a configuration key or a topic")),
      completion_(*app.add_subcommand("completion", "Print the completion script of a shell")),
      manual_(*app.add_subcommand("man", "Print the man page: flashblock man | man -l -")) {
  CLI::Option* version = app.set_version_flag("--version", "flashblock " FLASHBLOCK_VERSION);
  json_ =
      app.add_flag("--json", json_given_, "With --version: what the program was built with, as JSON")->needs(version);
  help_.add_option(
      "TOPIC", topic_,
      "A command; a key, such as recipe.steps; or models, keys, policies, environment, files, exit-status");
  completion_.add_option("SHELL", shell_, "bash, zsh or fish")->type_name("bash|zsh|fish")->required();
}

std::optional<std::string> AboutCommands::text() const {
  if (completion_.parsed()) return completion_script(completed_words(app_), shell_);
  if (manual_.parsed()) return manual_page(command_words(app_), FLASHBLOCK_VERSION);
  if (help_.parsed()) return help_text();
  return {};
}

std::string AboutCommands::version() const {
  return json_->count() > 0 ? json_text(build_info(), 2) : "flashblock " FLASHBLOCK_VERSION "\n";
}

std::string AboutCommands::help_text() const {
  if (const CLI::App* command = find_command(app_, topic_))  // App::help() would answer for the parsed command
    return command->get_formatter()->make_help(command, full_name_of(*command), CLI::AppFormatMode::Normal);
  std::string topic;
  for (const std::string& word : topic_) topic += (topic.empty() ? "" : " ") + word;
  if (const std::string text = help_on(topic); !text.empty()) return text;
  std::vector<std::string> known = help_words();
  for (const CLI::App* command : app_.get_subcommands([](const CLI::App* c) { return !c->get_group().empty(); })) {
    known.push_back(command->get_name());
  }
  const std::string meant = nearest_word(topic, known);
  throw ConfigError("help: there is no topic '" + topic + "'" +
                    (meant.empty() ? "; flashblock help help lists them" : ", did you mean " + meant + "?"));
}

}  // namespace flashblock
