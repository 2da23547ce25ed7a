#include "core/file_identity.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/sha256.h"

namespace flashblock {

std::string file_identity(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) throw WeightsError(file.string() + ": " + std::strerror(errno));
  std::ostringstream text;
  text << std::filesystem::absolute(file).lexically_normal().string() << ' ' << status.st_size << ' '
       << status.st_mtim.tv_sec << '.' << status.st_mtim.tv_nsec << ' ' << status.st_dev << ':' << status.st_ino;
  return text.str();
}

std::string cached_file_sha256(const std::filesystem::path& file, const FileCache& cache, const std::stop_token& stop) {
  const std::string identity = file_identity(file);
  const std::string key = sha256(std::filesystem::absolute(file).lexically_normal().string());
  const auto content = [&](const std::string& digest) {
    return identity + "\n" + digest + "\n" + sha256(identity + digest) + "\n";
  };
  if (const std::filesystem::path cached = cache.find(key); !cached.empty()) {
    std::ostringstream text;
    text << std::ifstream(cached).rdbuf();
    const std::string found = text.str();
    const std::string digest = found.substr(std::min(found.size(), identity.size() + 1), 64);
    if (found == content(digest)) return digest;
  }
  const std::string digest = file_sha256(file, stop);
  if (digest.empty() || file_identity(file) != identity) return digest;  // modified meanwhile: not stored
  cache.put(key, [&](const std::filesystem::path& path) { write_file_atomically(path, content(digest)); });
  return digest;
}

}  // namespace flashblock
