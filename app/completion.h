// Completion scripts for shells, written from the options of the command line.
#pragma once

#include <string>

#include "app/command_words.h"

namespace flashblock {

/// A script that completes commands, options and their values. `shell` is bash, zsh or fish.
/// Throws: ConfigError for another shell.
std::string completion_script(const CommandWords& program, const std::string& shell);

}  // namespace flashblock
