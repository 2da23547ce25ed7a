// The last word of a failed run: one line for people, an exit status for scripts.
#pragma once

#include <exception>
#include <string>

#include "core/error.h"

namespace flashblock {

struct ErrorReport {
  ExitStatus status = ExitStatus::kInternal;
  std::string line;  ///< without `flashblock: error: ` and without an end of line
};

/// What to say of an exception that nobody handled. LibTorch's errors become short lines: memory and CUDA faults are
/// the device's, with advice; everything else is ours.
ErrorReport report_error(const std::exception_ptr& fault);

}  // namespace flashblock
