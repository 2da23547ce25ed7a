// The man page flashblock(1), written from the options of the command line and the help topics.
#pragma once

#include <string>

#include "app/command_words.h"

namespace flashblock {

/// The page in man(7)'s macros.
std::string manual_page(const CommandWords& program, const std::string& version);

}  // namespace flashblock
