// The error of a word that is none of the names known.
#pragma once

#include <string>
#include <string_view>

#include "core/error.h"

namespace flashblock {

/// Of `kind`, "refresh policy" say, without a configuration key: where the name was given is said by who read it there.
/// Inline, since the installed attention library has no sources of core.
inline ConfigError unknown_name(std::string_view kind, std::string_view name, std::string_view possible) {
  return ConfigError("the " + std::string(kind) + " '" + std::string(name) + "' is unknown; possible are " +
                     std::string(possible));
}

}  // namespace flashblock
