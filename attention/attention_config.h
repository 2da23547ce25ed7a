// How the attention over earlier frame blocks is obtained, as data: mode, refresh policy, and the passes they speak of.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace flashblock {

struct RefreshGate;

/// One run of the transformer over a frame block.
struct Pass {
  enum class Kind {
    kDenoise,  ///< predicts the flow at a noise level; its keys and values are replaced by the next pass
    kClean,    ///< timestep 0 on the finished latents; its keys and values are kept for later frame blocks
  };
  Kind kind = Kind::kDenoise;
  int64_t step_index = 0;  ///< position of a denoising pass in its frame block, from 0

  static Pass denoise(int64_t step_index) { return {Kind::kDenoise, step_index}; }
  static Pass clean() { return {Kind::kClean, 0}; }
};

/// Which passes of a frame block compute the external attention anew; the others reuse the last one.
enum class RefreshPolicy {
  kEveryPass,          ///< all passes: equal to exact attention up to the rounding of the merge
  kFirstPass,          ///< the first denoising pass only
  kFirstAndCleanPass,  ///< the first denoising pass and the clean pass, whose keys and values are kept for good
  kEveryNth,           ///< every `interval`-th pass, the clean pass counted as the last one
  kPublishedGate,      ///< of the heads that `gate` says for that layer and pass. Source: arXiv 2602.05305
  kErrorBound,         ///< of each head whose reuse would be off by more than `bound`, measured at a few queries
};

/// Attention of a video. The formulas are in docs/attention_cache.md.
struct AttentionConfig {
  enum class Mode {
    kExact,       ///< one softmax over external and internal keys in every pass
    kFlashblock,  ///< external attention kept as a state and merged. Source: arXiv 2602.05305
  };
  Mode mode = Mode::kFlashblock;
  RefreshPolicy refresh = RefreshPolicy::kFirstAndCleanPass;

  /// What is done to a state that is reused.
  enum class Correction {
    kNone,     ///< it is taken as it is
    kMeanKey,  ///< its log-sum-exp follows the queries to first order, along the attention-weighted mean key
  };
  Correction correction = Correction::kMeanKey;

  std::shared_ptr<const RefreshGate> gate;  ///< kPublishedGate alone, which needs it

  int64_t interval = 2;  ///< passes from one refresh to the next; kEveryNth alone. Range: 1 and up
  double bound = 0.1;    ///< error of a head over the norm of an average head's output; kErrorBound alone. Range: 0, up

  /// Sparse attention: part of the external keys, the most relevant ones of each head, that every pass attends to anew.
  /// 0: none. Range: 0 to 1. Not with policies that decide head by head.
  double density = 0;
  /// The other external keys of sparse attention.
  enum class Residual {
    kCached,   ///< their attention is kept from pass to pass, as `refresh` says
    kDropped,  ///< they are not attended to: sparse attention alone, for comparison
  };
  Residual residual = Residual::kCached;
};

/// True if the policy decides for each head on its own, which `refreshes` does not tell of later passes.
bool decides_by_head(RefreshPolicy policy);

/// True if the policy wants the external attention of all heads computed in `pass`, although one is at hand that was
/// computed `age` passes ago.
bool refreshes(const AttentionConfig& config, const Pass& pass, int64_t age);

/// How many of a frame block's denoising passes, of `steps`, must be run again before its clean pass so that this finds
/// the external attention that it found in the video: 0 where the clean pass computes it anew.
int64_t passes_before_clean(const AttentionConfig& config, int64_t steps);

/// Throws: ConfigError that names the value found and all values possible.
AttentionConfig::Mode parse_attention_mode(std::string_view name);
RefreshPolicy parse_refresh_policy(std::string_view name);
AttentionConfig::Correction parse_correction(std::string_view name);
AttentionConfig::Residual parse_residual(std::string_view name);

/// Throws: ConfigError for values out of range, and for settings that exclude each other.
void validate(const AttentionConfig& config);

/// The names that the parsers accept.
std::string to_string(AttentionConfig::Mode mode);
std::string to_string(RefreshPolicy policy);
std::string to_string(AttentionConfig::Correction correction);
std::string to_string(AttentionConfig::Residual residual);

}  // namespace flashblock
