// The errors a user can meet, and the exit status each one ends the program with.
#pragma once

#include <stdexcept>
#include <string>

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

/// Base of every error caused by something outside the program: input, files, devices.
/// what() is one line that names what was found, where, what was wanted and what to do.
class Error : public std::runtime_error {
 public:
  Error(ExitStatus status, const std::string& message) : std::runtime_error(message), status_(status) {}
  ExitStatus status() const { return status_; }

 private:
  ExitStatus status_;
};

/// Command line or configuration: unknown key, wrong type, impossible size, contradictory options.
class ConfigError : public Error {
 public:
  explicit ConfigError(const std::string& message) : Error(ExitStatus::kConfig, message) {}
};

/// Model files: missing, truncated, hostile, or tensors that are missing, unexpected or mis-shaped.
class WeightsError : public Error {
 public:
  explicit WeightsError(const std::string& message) : Error(ExitStatus::kWeights, message) {}
};

/// Device or memory: no such GPU, out of memory, a failed kernel.
class DeviceError : public Error {
 public:
  explicit DeviceError(const std::string& message) : Error(ExitStatus::kDevice, message) {}
};

/// Media or disk: unreadable frames, a full disk, an unwritable folder, an encoder that fails.
class MediaError : public Error {
 public:
  explicit MediaError(const std::string& message) : Error(ExitStatus::kMedia, message) {}
};

}  // namespace flashblock
