// Reads the files of a published byte-pair tokenizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace flashblock {

/// A token that stands for itself and is never merged.
struct AddedToken {
  int64_t id = 0;
  std::string text;
  bool special = false;  ///< not part of the text that a reader sees
};

/// Contents of a tokenizer's files.
struct TokenizerFiles {
  std::vector<std::string> tokens;  ///< bytes by id; empty: there is no ordinary token with this id
  std::vector<std::pair<std::string, std::string>> merges;  ///< bytes of both sides, by rank
  std::vector<AddedToken> added;
};

/// Reads tokenizer.json, or else vocab.json, merges.txt and, for the added tokens, tokenizer_config.json or
/// added_tokens.json. Throws: WeightsError naming file and fault if one is missing, is damaged, or describes a
/// tokenizer of another kind: another model, normalization or split pattern.
TokenizerFiles read_tokenizer_files(const std::filesystem::path& folder);

}  // namespace flashblock
