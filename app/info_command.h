// `flashblock info`.
#pragma once

#include "app/command_line.h"

namespace flashblock {

/// Prints what a model file, a weights file or a folder is; returns the program's exit status, 3 if a part is missing
/// or damaged. Throws: Error.
int run_info(const InfoRequest& request);

}  // namespace flashblock
