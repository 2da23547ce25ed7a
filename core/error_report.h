// What a failed run reports: one line for people, an exit status for scripts.
#pragma once

#include <exception>
#include <string>
#include <vector>

#include "core/error.h"

namespace flashblock {

struct ErrorReport {
  ExitStatus status = ExitStatus::kInternal;
  std::string message;  ///< one line, without an end of line
  std::vector<Remedy> remedies;
  std::string line;  ///< the message with its remedies, their settings as in a YAML file
};

/// The report of an exception that nobody handled. LibTorch's errors become short lines: memory and CUDA faults are
/// the device's; everything else is an internal fault.
ErrorReport report_error(const std::exception_ptr& fault);

/// How a setting is given, "--overwrite" say; empty: it cannot be given here.
using SettingName = std::string (*)(const Remedy&);

/// `message`, then what would help, with settings as `name` gives them; remedies without a name are left out.
std::string error_line(const std::string& message, const std::vector<Remedy>& remedies, SettingName name);

/// `overwrite: true`, or `output` where the value is for the user to choose.
std::string yaml_setting(const Remedy& remedy);

}  // namespace flashblock
