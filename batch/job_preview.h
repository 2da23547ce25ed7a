// Preview images of a batch's videos.
#pragma once

#include <cstdint>
#include <filesystem>

namespace flashblock {

/// Frames in a preview, side by side.
constexpr int64_t kPreviewFrames = 10;

/// Writes a JPEG with kPreviewFrames of the video's `frames`, evenly spaced, in a row. Nothing is written if the video
/// cannot be read or the file cannot be written.
void write_video_preview(const std::filesystem::path& video, int64_t frames, const std::filesystem::path& file);

}  // namespace flashblock
