// The folder where runs of one batch meet: JOBS.batch beside JOBS.yaml. For each video it holds NAME.lock, NAME.json
// (its record) and NAME.jpg (its preview).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "batch/job_status.h"
#include "core/file_descriptor.h"

namespace flashblock {

/// A lock between processes, of one machine or of several that share a file system. It goes with its process, however
/// that ends.
class FileLock {
 public:
  /// The lock, unless another process has it. Throws: MediaError if the file cannot be made.
  static std::optional<FileLock> take(const std::filesystem::path& file);
  /// Waits for it. Throws: MediaError.
  static FileLock wait(const std::filesystem::path& file);
  /// Whether some process has it now.
  static bool is_taken(const std::filesystem::path& file);

 private:
  explicit FileLock(FileDescriptor file) : file_(std::move(file)) {}
  FileDescriptor file_;
};

class BatchFolder {
 public:
  explicit BatchFolder(const std::filesystem::path& jobs_file);

  /// Makes the folder. Throws: MediaError.
  void create() const;

  std::filesystem::path lock_file(const std::string& video) const { return file(video, ".lock"); }
  std::filesystem::path preview_file(const std::string& video) const { return file(video, ".jpg"); }
  std::filesystem::path report_lock() const { return folder_ / ".report.lock"; }  // no video's name begins with a dot

  /// The video's record as its last run left it: what was running and has no lock any more is interrupted.
  /// A video without a record is waiting.
  JobStatus read(const std::string& video) const;
  /// To be called with the video's lock. Throws: MediaError.
  void write(const std::string& video, const JobStatus& record) const;

 private:
  std::filesystem::path file(const std::string& video, const char* extension) const {
    return folder_ / (video + extension);
  }

  std::filesystem::path folder_;
};

}  // namespace flashblock
