// Copies the segments on disk into one video. Private to media/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace flashblock {

/// The segments of a video, in order.
struct SegmentFiles {
  std::filesystem::path init_segment;
  std::vector<std::filesystem::path> files;  ///< at least one
};

/// Copies segments into `video`, a file, without encoding them again: index in front, no edit list, first frame at time
/// 0, with the sound of `audio`, cut or padded, if there is one. The video appears complete or not at all.
/// Throws: MediaError.
void join_segments(const SegmentFiles& segments, const std::filesystem::path& video,
                   const std::map<std::string, std::string>& metadata, const std::filesystem::path& audio = {});

/// Writes the frames of segments, whose codec is PNG, as images, and deletes what is left of the `replaced` images of a
/// longer video. Throws: MediaError.
void write_images(const SegmentFiles& segments, const std::filesystem::path& pattern, int64_t replaced);

/// FOLDER/000001.png of FOLDER/%06d.png.
std::filesystem::path image_file(const std::filesystem::path& pattern, int number);

}  // namespace flashblock
