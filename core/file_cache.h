// Small files that are kept from run to run to save work, in the user's cache folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace flashblock {

/// `flashblock/NAME` in $XDG_CACHE_HOME, else in ~/.cache; empty if the environment names neither.
/// Source: XDG Base Directory Specification.
std::filesystem::path user_cache_folder(const std::string& name);

/// A folder of files, each under a key. A cache is never needed: what cannot be written is not kept, and readers judge
/// for themselves whether a file is whole.
/// Thread safety: any number of threads and processes may share a folder; files appear whole.
class FileCache {
 public:
  /// An empty folder name makes a cache that holds nothing. Above `most_bytes` the files that were not used for longest
  /// are deleted.
  FileCache(std::filesystem::path folder, int64_t most_bytes);

  /// The file under `key`, marked as used now; empty if there is none.
  std::filesystem::path find(const std::string& key) const;

  /// Puts what `write` writes to the path it is given under `key`, in place of what was there. Faults of `write` and of
  /// the disk are swallowed.
  void put(const std::string& key, const std::function<void(const std::filesystem::path&)>& write) const noexcept;

 private:
  void delete_oldest() const;

  std::filesystem::path folder_;
  int64_t most_bytes_;
};

}  // namespace flashblock
