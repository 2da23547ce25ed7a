#include "core/file_cache.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <system_error>
#include <utility>
#include <vector>

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using Clock = fs::file_time_type::clock;

/// Suffix of files that are being written; one older than a day was left by a program that was killed.
constexpr char kUnfinished[] = ".tmp";

/// A name that no other thread or process uses.
std::string passing_name(const std::string& key) {
  static std::atomic<uint64_t> count = 0;
  return key + "." + std::to_string(::getpid()) + "." + std::to_string(count++) + kUnfinished;
}

}  // namespace

fs::path user_cache_folder(const std::string& name) {
  // The specification wants relative paths ignored.
  if (const char* base = std::getenv("XDG_CACHE_HOME"); base && base[0] == '/')
    return fs::path(base) / "flashblock" / name;
  if (const char* home = std::getenv("HOME"); home && home[0] == '/') {
    return fs::path(home) / ".cache" / "flashblock" / name;
  }
  return {};
}

FileCache::FileCache(fs::path folder, int64_t most_bytes) : folder_(std::move(folder)), most_bytes_(most_bytes) {}

fs::path FileCache::find(const std::string& key) const {
  std::error_code error;
  const fs::path file = folder_ / key;
  if (folder_.empty() || !fs::is_regular_file(file, error)) return {};
  fs::last_write_time(file, Clock::now(), error);
  return file;
}

void FileCache::put(const std::string& key, const std::function<void(const fs::path&)>& write) const noexcept {
  if (folder_.empty()) return;
  std::error_code ignored;
  fs::path passing;
  try {
    fs::create_directories(folder_);
    passing = folder_ / passing_name(key);
    write(passing);
    fs::rename(passing, folder_ / key);
    delete_oldest();
  } catch (...) {
    fs::remove(passing, ignored);
  }
}

void FileCache::delete_oldest() const {
  struct File {
    fs::path path;
    fs::file_time_type used;
    int64_t bytes;
  };
  std::vector<File> files;
  int64_t total = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    // Another process may delete a file at any time; one that cannot be inspected is skipped.
    if (!entry.is_regular_file(error) || error) continue;
    const auto used = entry.last_write_time(error);
    if (error) continue;
    const auto bytes = static_cast<int64_t>(entry.file_size(error));
    if (error) continue;
    if (entry.path().extension() == kUnfinished) {
      if (used < Clock::now() - std::chrono::hours(24)) fs::remove(entry.path(), error);
      continue;
    }
    files.push_back({entry.path(), used, bytes});
    total += bytes;
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.used < b.used; });
  for (const File& file : files) {
    if (total <= most_bytes_) return;
    fs::remove(file.path, error);
    total -= file.bytes;
  }
}

}  // namespace flashblock
