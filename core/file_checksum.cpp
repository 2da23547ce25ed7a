#include "core/file_checksum.h"

#include <chrono>

#include "core/error.h"
#include "core/file_identity.h"

namespace flashblock {

FileChecksums::FileChecksums(std::vector<std::filesystem::path> files, FileCache cache) {
  entries_ =
      std::async(std::launch::async, [files = std::move(files), cache = std::move(cache), stop = stop_.get_token()] {
        std::vector<FileChecksum> entries;
        for (const std::filesystem::path& file : files) {
          std::error_code error;
          const uintmax_t bytes = std::filesystem::file_size(file, error);
          if (error) throw MediaError("cannot read " + file.string() + " for its checksum: " + error.message());
          entries.push_back({.file = file, .bytes = bytes, .sha256 = cached_file_sha256(file, cache, stop)});
        }
        return entries;
      }).share();
}

bool FileChecksums::ready() const { return entries_.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }

}  // namespace flashblock
