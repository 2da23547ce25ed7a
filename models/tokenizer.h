// Prompts to token ids: a sentencepiece unigram model, as T5 and UMT5 use it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace flashblock {

/// A prompt as token ids, padded to a fixed length.
struct TokenIds {
  std::vector<int64_t> ids;   ///< [L]: the prompt, one end token (1), then padding (0)
  std::vector<int64_t> mask;  ///< [L]: 1 for the prompt and its end token, 0 for padding
  int64_t prompt_tokens = 0;  ///< tokens of the prompt before truncation, without the end token
  int64_t used_tokens = 0;    ///< those of them that are in `ids`
  std::string unseen;         ///< the first words of the rest; empty: there is none
};

/// Turns prompts into token ids. Thread safety: const members may be called from several threads.
class Tokenizer {
 public:
  static constexpr int64_t kPadId = 0;
  static constexpr int64_t kEndId = 1;

  /// Throws: WeightsError if the file is missing, is no sentencepiece model, or has another end token.
  static Tokenizer load(const std::filesystem::path& spiece_model);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Cleans `prompt` (text_cleaning.h), keeps at most `text_len` - 1 tokens, adds the end token and pads to `text_len`.
  /// The empty prompt is the end token alone. Requires: text_len >= 1.
  /// Source: Self-Forcing `wan/modules/tokenizers.py`, `HuggingfaceTokenizer` with clean="whitespace".
  TokenIds encode(std::string_view prompt, int64_t text_len) const;

  /// Number of sentencepieces, a lower bound of the rows that the text encoder's embedding must have.
  int64_t vocabulary_size() const;

 private:
  explicit Tokenizer(std::unique_ptr<sentencepiece::SentencePieceProcessor> processor);
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
};

/// A tokenizer that is loaded when it is first used, then kept. Thread safety: all members may be called from any
/// thread.
class LazyTokenizer {
 public:
  explicit LazyTokenizer(std::filesystem::path spiece_model) : file_(std::move(spiece_model)) {}
  /// Throws: as Tokenizer::load.
  const Tokenizer& get() const;

 private:
  std::filesystem::path file_;
  mutable std::mutex mutex_;
  mutable std::optional<Tokenizer> loaded_;
};

}  // namespace flashblock
