// A video at a glance, for the report's gallery.
#pragma once

#include <cstdint>
#include <filesystem>

namespace flashblock {

/// Frames in a preview, one beside the other.
constexpr int64_t kPreviewFrames = 10;

/// Writes a JPEG with kPreviewFrames of the video's `frames`, evenly spaced, in a row. A video that cannot be read
/// has none. Throws: MediaError if the file cannot be written.
void write_video_preview(const std::filesystem::path& video, int64_t frames, const std::filesystem::path& file);

}  // namespace flashblock
