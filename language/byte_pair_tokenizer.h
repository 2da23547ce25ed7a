// Text to token ids and back: the byte-level byte-pair encoding of Qwen.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "language/tokenizer_files.h"

namespace flashblock {

/// Normalization form C, then the split of text_split.h, then merges within each part, the lowest rank first and of
/// equal ranks the leftmost. Thread safety: immutable.
class BytePairTokenizer {
 public:
  /// Throws: WeightsError, as read_tokenizer_files, and for merges of tokens or into tokens that do not exist.
  static BytePairTokenizer load(const std::filesystem::path& folder);
  /// `origin` is its name in error messages.
  explicit BytePairTokenizer(TokenizerFiles files, const std::string& origin = "tokenizer");

  /// What becomes of an added token, such as `<|im_end|>`, that is written in a text.
  enum class AddedInText {
    kPlain,       ///< it is text like any other: for what users write
    kRecognised,  ///< it is that token
  };

  /// Bytes that are no UTF-8 count as U+FFFD. Added tokens are not normalized.
  std::vector<int64_t> encode(std::string_view text, AddedInText added = AddedInText::kPlain) const;

  /// The bytes of a token, which may end or begin within a character; those of an added token are its text. Empty for
  /// an id that is no token: a model's vocabulary may be larger.
  const std::string& bytes(int64_t id) const;

  /// The text of tokens; special ones are left out. Bytes that are no UTF-8 become U+FFFD.
  std::string decode(const std::vector<int64_t>& ids) const;

  /// The id of an added token by its text.
  std::optional<int64_t> added_token(std::string_view text) const;
  bool is_special(int64_t id) const { return is_id(id) && special_[static_cast<size_t>(id)]; }
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }  ///< one more than the largest id

 private:
  struct Merge {
    int64_t rank, id;
  };
  bool is_id(int64_t id) const { return id >= 0 && id < size(); }
  void encode_plain(std::string_view text, std::vector<int64_t>& ids) const;
  void merge_into(const std::string& part, std::vector<int64_t>& ids) const;

  std::vector<std::string> tokens_;  // by id
  std::vector<bool> special_;        // by id
  std::vector<AddedToken> added_;    // longest first
  std::vector<int64_t> byte_ids_;    // [256]
  std::unordered_map<uint64_t, Merge> merges_;
};

/// Text from tokens that arrive one after the other: characters are given out once they are complete.
class TextStream {
 public:
  explicit TextStream(const BytePairTokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// What is complete with this token.
  std::string add(int64_t id);
  /// At the end: what is left, an incomplete character as U+FFFD.
  std::string finish();

 private:
  const BytePairTokenizer& tokenizer_;
  std::string held_;
};

}  // namespace flashblock
