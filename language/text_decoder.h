// Decodes a text block by block behind its prompt.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "attention/attention_config.h"
#include "language/language_model.h"
#include "language/remasking.h"
#include "language/token_sampler.h"

namespace flashblock {

/// How the finished block's keys and values are stored.
enum class CleanPass {
  kFused,     ///< together with the first pass of the next block, in one call
  kSeparate,  ///< in a pass of its own, as published
};

/// Decoding of a text. Source of rules and defaults: JetAstra/SDAR generate.py.
struct DecodingConfig {
  int64_t block_size = 0;  ///< tokens decoded together; 0: the model's. Range: 1 to 1024
  int64_t steps = 0;       ///< passes in which a block is meant to be decoded; 0: the block size. Range: 1 and up
  RemaskingRule remasking;
  SamplingConfig sampling;
  uint64_t seed = 0;         ///< of sampling
  int64_t max_tokens = 256;  ///< decoded at most
  bool stop_at_end = true;   ///< at an end token
  CleanPass clean_pass = CleanPass::kFused;
  int64_t reuse_from = 0;  ///< cached tokens from which attention is reused; over fewer, it is exact. From 0
};

/// Throws: ConfigError that names the key, for values out of range.
void validate(const DecodingConfig& decoding);

/// One pass over a block, [block size] each.
struct DecodedPass {
  int64_t block = 0;                    ///< number of the block, the prompt's counted
  std::vector<int64_t> ids;             ///< that went in, masks included
  std::vector<int64_t> argmax;          ///< token of each open place; means nothing at others
  std::vector<float> confidence;        ///< its probability; means nothing at others
  std::vector<bool> transfer;           ///< places that this pass decoded
  bool clean = false;                   ///< the clean pass, which decodes nothing
  std::vector<bool> external_computed;  ///< places whose external attention was computed, in the first layer
};

/// Sees a text while it is decoded. Called on the decoding thread.
class TextObserver {
 public:
  virtual ~TextObserver() = default;
  /// A pass is done. With the fused clean pass both blocks are reported, the finished one first.
  virtual void pass(const DecodedPass&) {}
  /// A block is finished: its tokens that belong to the text, up to an end token, which is not among them.
  virtual void decoded(const std::vector<int64_t>& /*tokens*/) {}
};

/// What became of a text.
enum class TextEnd {
  kEndToken,  ///< the model ended it
  kLength,    ///< max_tokens were decoded
  kStopped,   ///< by the stop token
};

struct DecodedText {
  std::vector<int64_t> ids;     ///< prompt and everything decoded, whole blocks, uncut
  std::vector<int64_t> tokens;  ///< the decoded text: behind the prompt, before an end token, at most max_tokens
  TextEnd end = TextEnd::kLength;
  LanguageCounters counters;   ///< behind the prefill
  double prefill_seconds = 0;  ///< until the prompt was cached
  double seconds = 0;          ///< of decoding, without the prefill
};

/// What can be refused before weights are read. Throws: ConfigError for a decoding or attention that is out of range or
/// does not fit the model, for tokens that the model does not have, and for a text longer than the model's positions,
/// or a prompt without tokens.
void check_text(const LanguageConfig& config, const std::vector<int64_t>& prompt, const DecodingConfig& decoding,
                const AttentionConfig& attention);

/// Decodes behind `prompt`. The whole blocks of the prompt are cached; what is left of it opens the first block. No
/// clean pass follows the last block. Throws: ConfigError as check_text.
DecodedText decode_text(const LanguageModel& model, const std::vector<int64_t>& prompt, const DecodingConfig& decoding,
                        const AttentionConfig& attention, TextObserver& observer, const std::stop_token& stop = {});

}  // namespace flashblock
