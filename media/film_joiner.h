// Pieces on disk: reading what is in them, and copying them into one film. Private to media/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace flashblock {

/// Frames of a piece in the film's time.
struct FrameRange {
  int64_t first_frame = 0;
  int64_t frames = 0;
};

/// Reads which frames a piece holds; nothing if it is damaged.
std::optional<FrameRange> frames_of_piece(const std::filesystem::path& init_segment,
                                          const std::filesystem::path& piece);

/// Copies pieces, in order, into `film`, without encoding again: index in front, no edit list, first picture at time 0.
/// The film appears whole or not at all. Throws: MediaError.
void join_pieces(const std::filesystem::path& init_segment, const std::vector<std::filesystem::path>& pieces,
                 const std::filesystem::path& film, const std::map<std::string, std::string>& metadata);

}  // namespace flashblock
