// How a configuration key is given on the command line.
#pragma once

#include <string>

#include "core/error.h"

namespace flashblock {

/// The option that sets the remedy's key: `--overwrite`, `--dtype float32`, `--set recipe.window_frames=...`.
std::string option_of(const Remedy& remedy);

}  // namespace flashblock
