// Checksums of large files, computed in the background.
#pragma once

#include <cstdint>
#include <filesystem>
#include <future>
#include <stop_token>
#include <string>
#include <vector>

#include "core/file_cache.h"

namespace flashblock {

struct FileChecksum {
  std::filesystem::path file;
  uintmax_t bytes = 0;
  std::string sha256;  ///< as sha256sum prints it
};

/// SHA-256 of some files, computed in order on a background thread. Thread safety: const members from any thread.
class FileChecksums {
 public:
  /// Checksums that `cache` holds are not computed again (cached_file_sha256).
  explicit FileChecksums(std::vector<std::filesystem::path> files, FileCache cache = FileCache({}, 0));
  /// Cancels the checksums that are not computed yet.
  ~FileChecksums() { stop_.request_stop(); }
  FileChecksums(const FileChecksums&) = delete;
  FileChecksums& operator=(const FileChecksums&) = delete;

  /// Whether get() returns at once.
  bool ready() const;
  /// In the order of the files; waits for the rest. Throws: MediaError for a file that cannot be read.
  const std::vector<FileChecksum>& get() const { return entries_.get(); }

 private:
  std::stop_source stop_;
  std::shared_future<std::vector<FileChecksum>> entries_;
};

}  // namespace flashblock
