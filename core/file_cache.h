// Small files that are cached between runs to save work, in the cache folder of the user.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace flashblock {

/// `flashblock/NAME` in $XDG_CACHE_HOME, else in ~/.cache; empty if the environment names neither.
/// Source: XDG Base Directory Specification.
std::filesystem::path user_cache_folder(const std::string& name);

/// A folder of files, each under a key. Nothing depends on a cache: a file that cannot be written is not kept, and
/// readers check whether a file is complete.
/// Thread safety: any number of threads and processes may share a folder; files appear complete or not at all.
class FileCache {
 public:
  /// An empty folder name makes a cache that holds nothing. Above `most_bytes` the least recently used files are
  /// deleted.
  FileCache(std::filesystem::path folder, int64_t most_bytes);

  /// The file under `key`, marked as used now; empty if there is none.
  std::filesystem::path find(const std::string& key) const;

  /// Stores the file that `write` writes to the path it is given, replacing any file under `key`. Errors of `write` and
  /// of the disk are ignored.
  void put(const std::string& key, const std::function<void(const std::filesystem::path&)>& write) const noexcept;

 private:
  void delete_oldest() const;

  std::filesystem::path folder_;
  int64_t most_bytes_;
};

}  // namespace flashblock
