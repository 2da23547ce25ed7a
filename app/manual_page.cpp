#include "app/manual_page.h"

#include <sstream>

#include "app/help_topics.h"

namespace flashblock {
namespace {

/// Text that roff prints as it is.
std::string roff(const std::string& text) {
  std::string result;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) result += "\\&";
    if (c == '\\')
      result += "\\e";
    else if (c == '-')
      result += "\\-";
    else
      result += c;
    line_begins = c == '\n';
  }
  return result;
}

std::string italic(const std::string& text) { return "\\fI" + roff(text) + "\\fR"; }
std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }

void write_option(const OptionWords& option, std::ostream& out) {
  std::string head;
  for (const std::string& name : option.names) head += (head.empty() ? "" : ", ") + bold(name);
  if (!option.value.empty()) head += (head.empty() ? "" : " ") + italic(option.value);
  out << ".TP\n" << head << "\n" << roff(option.help);
  if (!option.range.empty()) out << ", " << roff(option.range);
  if (!option.default_value.empty()) out << " [" << roff(option.default_value) << "]";
  out << ".\n";
}

void write_command(const CommandWords& command, std::ostream& out) {
  if (command.commands.empty()) {
    out << ".SS " << roff(command.name);
    for (const OptionWords& option : command.options) {
      if (option.names.empty()) out << " " << italic(option.value);
    }
    out << "\n" << roff(command.help) << ".\n";
    for (const OptionWords& option : command.options) write_option(option, out);
  }
  for (const CommandWords& inner : command.commands) write_command(inner, out);
}

}  // namespace

std::string manual_page(const CommandWords& program, const std::string& version) {
  std::string summary = program.help;
  if (!summary.empty() && summary.back() == '.') summary.pop_back();
  std::ostringstream out;
  out << ".TH FLASHBLOCK 1 \"\" \"flashblock " << roff(version) << "\"\n.SH NAME\nflashblock \\- " << roff(summary)
      << "\n.SH SYNOPSIS\n"
      << bold("flashblock") << " " << italic("COMMAND") << " [" << italic("OPTIONS") << "]\n"
      << ".SH OPTIONS\n";
  for (const OptionWords& option : program.options) write_option(option, out);
  out << ".SH COMMANDS\n";
  for (const CommandWords& command : program.commands) write_command(command, out);
  for (const HelpTopic& topic : help_topics()) {
    out << ".SH " << roff(topic.heading) << "\n" << roff(topic.sentence) << "\n";
    for (const HelpEntry& entry : topic.entries())
      out << ".TP\n" << bold(entry.name) << "\n" << roff(entry.text) << "\n";
  }
  return out.str();
}

}  // namespace flashblock
