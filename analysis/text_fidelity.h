// What reused attention costs in texts: texts decoded exactly, each policy on the same passes, and by itself.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "analysis/named_attention.h"
#include "language/language_model.h"
#include "language/text_decoder.h"

namespace flashblock {

/// What is compared.
struct TextFidelityOptions {
  std::vector<std::vector<int64_t>> prompts;  ///< as token ids
  std::vector<NamedAttention> policies;
  DecodingConfig decoding;
};

/// A policy on the passes of the exact texts: the same ids go in, whatever the policy would have decoded, and its own
/// keys and values are stored. Means are over the open places of all passes, refreshed ones too.
struct TextPolicyMeasures {
  std::string name;
  int64_t external_computed = 0, external_reused = 0;  ///< as in LanguageCounters
  double divergence = 0;  ///< mean of KL(exact || policy) of the tokens' probabilities at temperature 1, in nats
  double same_token = 0;  ///< share of the places whose most probable token is that of exact attention
  /// Root mean square, over passes, of |h - h_exact| / |h_exact|, h the hidden states of all open places.
  double hidden_error = 0;
  std::vector<double> block_divergence;  ///< mean divergence of the n-th decoded block of the texts

  /// Of the texts that the policy decodes by itself, per text: tokens that equal the exact text's before the first that
  /// differs, and whether none does.
  std::vector<int64_t> equal_tokens;
  std::vector<bool> equal;

  double computed_share() const;
  int64_t equal_texts() const;
};

struct TextFidelity {
  std::vector<std::vector<int64_t>> texts;   ///< decoded exactly, without the prompts
  std::vector<TextPolicyMeasures> policies;  ///< first "noise floor": computed in every pass, and merged
  int64_t passes = 0;                        ///< of the exact texts, clean passes apart
  int64_t places = 0;                        ///< open places in them: what means are over
};

/// Decodes every prompt exactly and with each policy, one after the other. Holds a state of each policy at a time.
/// `begin_text` is called with the number of each text before it. None if `stop` was requested.
/// Throws: ConfigError as check_text.
std::optional<TextFidelity> measure_text_fidelity(const LanguageModel& model, const TextFidelityOptions& options,
                                                  const std::function<void(size_t)>& begin_text,
                                                  const std::stop_token& stop = {});

}  // namespace flashblock
