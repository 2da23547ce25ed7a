// The errors a user can meet, and the exit status each one ends the program with.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace flashblock {

/// Exit status of the program, as documented for scripts.
enum class ExitStatus : int {
  kDone = 0,
  kInternal = 1,
  kConfig = 2,
  kWeights = 3,
  kDevice = 4,
  kMedia = 5,
};

/// A setting that would help. Only the front end that reports the error knows how settings are given (an option, a
/// field of a request, a line of YAML) and adds it.
struct Remedy {
  std::string action;  ///< what the setting does, "replace it" say
  std::string key;     ///< the configuration key, "overwrite" say
  std::string value;   ///< empty: for the user to choose
};

/// What an error is about, in terms of the configuration.
struct ErrorContext {
  std::string key;  ///< the configuration key whose value is wrong; empty: no single one
  std::vector<Remedy> remedies;
};

/// Base of every error caused by something outside the program: input, files, devices.
/// what() is one line that names what was found, where, and what was wanted; remedies() say which settings would help.
class Error : public std::runtime_error {
 public:
  Error(ExitStatus status, const std::string& message, ErrorContext context = {})
      : std::runtime_error(message), status_(status), context_(std::move(context)) {}
  ExitStatus status() const { return status_; }
  const std::string& key() const { return context_.key; }
  const std::vector<Remedy>& remedies() const { return context_.remedies; }

 private:
  ExitStatus status_;
  ErrorContext context_;
};

/// An error that ends the program with one status.
template <ExitStatus kStatus>
class ErrorOf : public Error {
 public:
  explicit ErrorOf(const std::string& message, ErrorContext context = {})
      : Error(kStatus, message, std::move(context)) {}
};

/// Command line or configuration: unknown key, wrong type, impossible size, contradictory options.
using ConfigError = ErrorOf<ExitStatus::kConfig>;
/// Model files: missing, truncated, hostile, or tensors that are missing, unexpected or mis-shaped.
using WeightsError = ErrorOf<ExitStatus::kWeights>;
/// Device or memory: no such GPU, out of memory, a failed kernel.
using DeviceError = ErrorOf<ExitStatus::kDevice>;
/// Media or disk: an unreadable image or video, a full disk, an unwritable folder, an encoder that fails.
using MediaError = ErrorOf<ExitStatus::kMedia>;

}  // namespace flashblock
