#include "app/completion.h"

#include <functional>
#include <sstream>

#include "core/error.h"

namespace flashblock {
namespace {

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::string replaced(const std::string& text, const std::string& special, const std::string& front) {
  std::string result;
  for (const char c : text) {
    if (special.find(c) != special.npos) result += front;
    result += c;
  }
  return result;
}

/// In single quotes, for bash and zsh.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string fish_quoted(const std::string& text) { return "'" + replaced(text, "'\\", "\\") + "'"; }

void for_each_command(const CommandWords& command, const std::function<void(const CommandWords&)>& visit) {
  visit(command);
  for (const CommandWords& inner : command.commands) for_each_command(inner, visit);
}

std::vector<std::string> words_of(const std::vector<CommandWords>& commands) {
  std::vector<std::string> words;
  words.reserve(commands.size());
  for (const CommandWords& command : commands) words.push_back(command.word());
  return words;
}

/// "'flashblock render' 'flashblock analyze' ...": the names of all commands within the program.
std::vector<std::string> inner_names(const CommandWords& program) {
  std::vector<std::string> names;
  for_each_command(program, [&](const CommandWords& command) { names.push_back(quoted(command.name)); });
  names.erase(names.begin());
  return names;
}

// --- bash -------------------------------------------------------------------------------------------------------

void bash_values(const CommandWords& command, std::ostream& out) {
  out << "      case $previous in\n";
  std::vector<std::string> others;
  for (const OptionWords& option : command.options) {
    if (option.names.empty() || option.value.empty()) continue;
    const std::string names = joined(option.names, " | ");
    if (!option.choices.empty()) {
      out << "        " << names << ") _flashblock_words " << quoted(joined(option.choices, " ")) << "; return ;;\n";
    } else if (is_file_value(option.value)) {
      out << "        " << names << ") _flashblock_files; return ;;\n";
    } else {
      others.push_back(names);
    }
  }
  if (!others.empty()) out << "        " << joined(others, " | ") << ") return ;;\n";
  out << "      esac\n";
}

std::string bash_script(const CommandWords& program) {
  std::ostringstream out;
  out << "# Completion of flashblock for bash. Made by: flashblock completion bash\n"
         "_flashblock_words() {\n"
         "  COMPREPLY=($(compgen -W \"$1\" -- \"$current\"))\n"
         "  if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi\n"
         "}\n"
         "_flashblock_files() {\n"
         "  compopt -o filenames 2>/dev/null\n"
         "  local IFS=$'\\n'\n"
         "  COMPREPLY=($(compgen -f -- \"$current\"))\n"
         "}\n"
         "_flashblock() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=flashblock i\n"
         "  COMPREPLY=()\n"
         "  if [[ $current == = ]]; then current=\n"  // bash makes "=" a word of its own
         "  elif [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    case \"$command ${COMP_WORDS[i]}\" in\n"
      << "      " << joined(inner_names(program), " | ") << ") command+=\" ${COMP_WORDS[i]}\" ;;\n"
      << "    esac\n"
         "  done\n"
         "  local options= words= files=\n"
         "  case $command in\n";
  for_each_command(program, [&](const CommandWords& command) {
    std::vector<std::string> names, words = words_of(command.commands);
    bool files = false;
    for (const OptionWords& option : command.options) {
      names.insert(names.end(), option.names.begin(), option.names.end());
      if (!option.names.empty()) continue;
      words.insert(words.end(), option.choices.begin(), option.choices.end());
      files = files || is_file_value(option.value);
    }
    out << "    " << quoted(command.name) << ")\n";
    bash_values(command, out);
    out << "      options=" << quoted(joined(names, " ")) << " words=" << quoted(joined(words, " "))
        << " files=" << (files ? "1" : "") << " ;;\n";
  });
  out << "  esac\n"
         "  if [[ $current == -* ]]; then _flashblock_words \"$options\"\n"
         "  elif [[ -n $files ]]; then _flashblock_files\n"
         "  else _flashblock_words \"$words\"; fi\n"
         "}\n"
         "complete -F _flashblock flashblock\n";
  return out.str();
}

// --- zsh --------------------------------------------------------------------------------------------------------

std::string zsh_function(const std::string& command) {
  std::string name = "_" + command;
  for (char& c : name) c = c == ' ' || c == '-' ? '_' : c;
  return name;
}

std::string zsh_action(const OptionWords& option) {
  if (!option.choices.empty()) return "(" + joined(option.choices, " ") + ")";
  return is_file_value(option.value) ? "_files" : " ";
}

/// Everything that a command's line of _arguments says.
void zsh_arguments(const CommandWords& command, std::ostream& out) {
  int place = 0;
  for (const OptionWords& option : command.options) {
    const std::string value = replaced(option.value, ":\\[]", "\\");
    if (option.names.empty()) {
      out << " \\\n    " << quoted(std::to_string(++place) + ":" + value + ":" + zsh_action(option));
      continue;
    }
    for (const std::string& name : option.names) {
      const std::string argument = option.value.empty() ? "" : ":" + value + ":" + zsh_action(option);
      const std::string joint = option.value.empty() ? "" : name.rfind("--", 0) == 0 ? "=" : "+";
      out << " \\\n    " << quoted("*" + name + joint + "[" + replaced(option.help, ":\\[]", "\\") + "]" + argument);
    }
  }
}

void zsh_command(const CommandWords& command, std::ostream& out) {
  out << zsh_function(command.name) << "() {\n";
  if (command.commands.empty()) {
    out << "  _arguments -s";
    zsh_arguments(command, out);
    out << "\n}\n";
    return;
  }
  std::string commands;
  for (const CommandWords& inner : command.commands) {
    commands += " " + inner.word() + "\\:" + quoted(replaced(inner.help, ":\\()", "\\"));
  }
  out << "  local curcontext=$curcontext state line\n"
         "  _arguments -C";
  zsh_arguments(command, out);
  out << " \\\n    " << quoted("1:command:((" + commands + "))") << " '*::argument:->inner'\n"
      << "  if [[ $state == inner ]]; then\n"
         "    case $line[1] in\n";
  for (const CommandWords& inner : command.commands) {
    out << "      " << inner.word() << ") " << zsh_function(inner.name) << " ;;\n";
  }
  out << "    esac\n"
         "  fi\n"
         "}\n";
}

std::string zsh_script(const CommandWords& program) {
  std::ostringstream out;
  out << "#compdef flashblock\n"
         "# Completion of flashblock for zsh. Made by: flashblock completion zsh\n";
  for_each_command(program, [&](const CommandWords& command) { zsh_command(command, out); });
  out << "if [[ $funcstack[1] == _flashblock ]]; then _flashblock \"$@\"; else compdef _flashblock flashblock; fi\n";
  return out.str();
}

// --- fish -------------------------------------------------------------------------------------------------------

void fish_command(const CommandWords& command, std::ostream& out) {
  const std::string front = "complete -c flashblock -n " + fish_quoted("__flashblock_in " + command.name);
  for (const CommandWords& inner : command.commands) {
    out << front << " -a " << inner.word() << " -d " << fish_quoted(inner.help) << "\n";
  }
  for (const OptionWords& option : command.options) {
    std::string line = front;
    for (const std::string& name : option.names) {
      line += name.rfind("--", 0) == 0 ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    if (!option.choices.empty()) {
      line += (option.names.empty() ? " -a " : " -x -a ") + fish_quoted(joined(option.choices, " "));
    } else if (is_file_value(option.value)) {
      line += option.names.empty() ? " -F" : " -r -F";
    } else if (!option.value.empty()) {
      if (option.names.empty()) continue;
      line += " -x";
    }
    if (!option.names.empty()) line += " -d " + fish_quoted(option.help);
    out << line << "\n";
  }
}

std::string fish_script(const CommandWords& program) {
  std::ostringstream out;
  out << "# Completion of flashblock for fish. Made by: flashblock completion fish\n"
         "function __flashblock_in --description 'Whether the words before the cursor name this command'\n"
         "    set -l command flashblock\n"
         "    for word in (commandline -opc)[2..-1]\n"
         "        if contains -- \"$command $word\" "
      << joined(inner_names(program), " ") << "\n"
      << "            set command \"$command $word\"\n"
         "        end\n"
         "    end\n"
         "    test \"$command\" = \"$argv\"\n"
         "end\n"
         "complete -c flashblock -f\n";
  for_each_command(program, [&](const CommandWords& command) { fish_command(command, out); });
  return out.str();
}

}  // namespace

std::string completion_script(const CommandWords& program, const std::string& shell) {
  if (shell == "bash") return bash_script(program);
  if (shell == "zsh") return zsh_script(program);
  if (shell == "fish") return fish_script(program);
  throw ConfigError("completion: found '" + shell + "', wanted bash, zsh or fish");
}

}  // namespace flashblock
