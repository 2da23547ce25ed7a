// How the attention over earlier frame blocks is obtained, as data: mode, refresh policy, and the passes they speak of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flashblock {

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
};

/// Attention of a film. Names in configuration files: mode `exact`, `flashblock`; refresh `every_pass`, `first_pass`,
/// `first_and_clean_pass`.
struct AttentionConfig {
  enum class Mode {
    kExact,       ///< one softmax over external and internal keys in every pass
    kFlashblock,  ///< external attention kept as a state and merged. Source: arXiv 2602.05305
  };
  Mode mode = Mode::kFlashblock;
  RefreshPolicy refresh = RefreshPolicy::kFirstAndCleanPass;
};

/// True if `policy` wants the external attention computed in `pass` although one is at hand.
bool refreshes(RefreshPolicy policy, const Pass& pass);

/// How many of a frame block's denoising passes, of `steps`, must be run again before its clean pass so that this finds
/// the external attention that it found in the film: 0 where the clean pass computes it anew.
int64_t passes_before_clean(const AttentionConfig& config, int64_t steps);

/// Throws: ConfigError that names the value found and all values possible.
AttentionConfig::Mode parse_attention_mode(std::string_view name);
RefreshPolicy parse_refresh_policy(std::string_view name);

/// The names that the parsers accept.
std::string to_string(AttentionConfig::Mode mode);
std::string to_string(RefreshPolicy policy);

}  // namespace flashblock
