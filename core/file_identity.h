// Telling quickly whether a file is still the one it was.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "core/file_cache.h"

namespace flashblock {

/// Path, size, time of the last change and inode of a file, in one line. Another text means another file, or one that
/// was changed; the same text means the same content, unless somebody sets times by hand.
/// Throws: WeightsError if the file cannot be looked at.
std::string file_identity(const std::filesystem::path& file);

/// The SHA-256 of a file, computed once for each identity and kept in `cache`: that of an 11 GB file takes half a
/// minute. Empty if `stop` was requested. Throws: WeightsError, MediaError.
std::string kept_file_sha256(const std::filesystem::path& file, const FileCache& cache,
                             const std::stop_token& stop = {});

}  // namespace flashblock
