// Whether a file can be written under a name, found out before anything is computed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/error.h"

namespace flashblock {

/// The name of a file while it is written (AtomicFile, and whatever else appears complete or not at all).
std::filesystem::path unfinished_name(const std::filesystem::path& file);

/// Throws: ConfigError if the last part of `path` is too long for its folder, in bytes. `context`: of the error.
void check_name_length(const std::filesystem::path& path, const ErrorContext& context = {});

/// Throws: ConfigError if the name of a file, or its unfinished name, is too long, or taken by a link, a folder or
/// something else that is no file.
void check_output_name(const std::filesystem::path& file, const ErrorContext& context = {});

/// Throws: MediaError if there is no such folder, or no file can be made in it.
void check_folder_is_writable(const std::filesystem::path& folder, const ErrorContext& context = {});

/// The same of the nearest folder above that exists, where the folder itself is made later.
void check_folder_can_be_made(const std::filesystem::path& folder, const ErrorContext& context = {});

/// The path with all links followed, as far as it exists. Never throws.
std::filesystem::path real_path(const std::filesystem::path& path);

}  // namespace flashblock
