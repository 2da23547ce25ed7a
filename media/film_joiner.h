// Copies the pieces on disk into one film. Private to media/.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace flashblock {

/// Copies pieces, in order, into `film`, without encoding again: index in front, no edit list, first picture at time 0.
/// The film appears whole or not at all. Throws: MediaError.
void join_pieces(const std::filesystem::path& init_segment, const std::vector<std::filesystem::path>& pieces,
                 const std::filesystem::path& film, const std::map<std::string, std::string>& metadata);

}  // namespace flashblock
