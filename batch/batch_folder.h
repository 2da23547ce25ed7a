// The folder that all runs of a batch share: JOBS.batch beside JOBS.yaml (batch_stem). For each video it holds
// NAME.lock, NAME.json (its job status) and NAME.jpg (its preview).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "batch/job_status.h"
#include "core/file_descriptor.h"

namespace flashblock {

/// A lock between processes, on one machine or on several that share a file system. It is released when its process
/// ends, however it ends.
class FileLock {
 public:
  /// The lock, unless another process holds it. Throws: MediaError if the file cannot be created.
  static std::optional<FileLock> take(const std::filesystem::path& file);
  /// Waits for the lock. Throws: MediaError.
  static FileLock wait(const std::filesystem::path& file);
  /// Whether some process holds the lock.
  static bool is_taken(const std::filesystem::path& file);

 private:
  explicit FileLock(FileDescriptor file) : file_(std::move(file)) {}
  FileDescriptor file_;
};

/// What the files beside a jobs file are named by: JOBS of JOBS.yaml, the whole name of any other file, so that two
/// jobs files in one folder share none.
std::filesystem::path batch_stem(const std::filesystem::path& jobs_file);

class BatchFolder {
 public:
  explicit BatchFolder(const std::filesystem::path& jobs_file);

  /// Throws: MediaError if create() would.
  void check() const;
  /// Creates the folder. Throws: MediaError.
  void create() const;

  std::filesystem::path lock_file(const std::string& video) const { return file(video, ".lock"); }
  std::filesystem::path preview_file(const std::string& video) const { return file(video, ".jpg"); }
  std::filesystem::path report_lock() const { return folder_ / ".report.lock"; }  // no video's name begins with a dot

  /// The status that was saved last. A video that was running and is no longer locked is interrupted; one without a
  /// readable status is waiting.
  JobStatus read(const std::string& video) const;
  /// Requires: the caller holds the video's lock. Throws: MediaError.
  void write(const std::string& video, const JobStatus& status) const;

 private:
  std::filesystem::path file(const std::string& video, const char* extension) const {
    return folder_ / (video + extension);
  }

  std::filesystem::path folder_;
};

}  // namespace flashblock
