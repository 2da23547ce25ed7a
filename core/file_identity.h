// Quick detection of changed files.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "core/file_cache.h"

namespace flashblock {

/// Path, size, modification time and inode of a file, in one line. A different line means a different file, or one that
/// was modified; the same line means the same content, unless times are set by hand.
/// Throws: WeightsError if the file cannot be inspected.
std::string file_identity(const std::filesystem::path& file);

/// The SHA-256 of a file, computed once per identity and stored in `cache`: for an 11 GB file it takes half a
/// minute. Empty if `stop` was requested. Throws: WeightsError, MediaError.
std::string cached_file_sha256(const std::filesystem::path& file, const FileCache& cache,
                               const std::stop_token& stop = {});

}  // namespace flashblock
