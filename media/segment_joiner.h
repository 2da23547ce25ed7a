// Copies the segments on disk into one video. Private to media/.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace flashblock {

/// Copies segments, in order, into `video`, without encoding them again: index in front, no edit list, first frame at
/// time 0. The video appears complete or not at all. Throws: MediaError.
void join_segments(const std::filesystem::path& init_segment, const std::vector<std::filesystem::path>& segments,
                   const std::filesystem::path& video, const std::map<std::string, std::string>& metadata);

}  // namespace flashblock
