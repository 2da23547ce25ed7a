// Which files this program has written, and may therefore replace.
#pragma once

#include <filesystem>
#include <vector>

namespace flashblock {

/// Whether the file says itself that flashblock has written it: JSON and pages by their first key, recordings and
/// videos by their metadata, gates by their key. Other kinds cannot say so. Never throws.
bool is_own_file(const std::filesystem::path& file);

/// Throws: ConfigError if a file of a command, not of a video, may not be written: as check_output_name(), or it exists
/// and `overwrite` is false, or it exists and is none that flashblock has written, or it is one of `inputs`.
/// MediaError: as check_folder_is_writable().
void check_report_file(const std::filesystem::path& file, bool overwrite,
                       const std::vector<std::filesystem::path>& inputs = {});

}  // namespace flashblock
