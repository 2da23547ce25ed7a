// How a frame block attends to earlier frame blocks, as data: mode, refresh policy, correction, density.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace flashblock {

class RefreshPolicy;  // attention/refresh_policy.h
struct RefreshGate;   // attention/policies/published_gate.h

/// One run of the transformer over a frame block.
struct Pass {
  enum class Kind {
    kDenoise,  ///< predicts the flow at a noise level; the next pass overwrites its keys and values
    kClean,    ///< on the finished latents, at timestep `context_noise`; its keys and values are committed
  };
  Kind kind = Kind::kDenoise;
  int64_t step_index = 0;  ///< position of a denoising pass in its frame block, from 0

  /// Of text: tokens of the block decoded since all heads of its external attention were last refreshed.
  int64_t decoded_tokens = 0;

  bool is_first() const { return kind == Kind::kDenoise && step_index == 0; }  ///< of its frame block

  static Pass denoise(int64_t step_index, int64_t decoded_tokens = 0) {
    return {Kind::kDenoise, step_index, decoded_tokens};
  }
  static Pass clean() { return {Kind::kClean, 0}; }
};

/// A registered refresh policy. Converts from its name: `config.refresh = "first_pass"`.
class RefreshPolicyRef {
 public:
  /// Throws: ConfigError that lists the registered policies, for a name that is not among them.
  RefreshPolicyRef(std::string_view name);
  RefreshPolicyRef(const char* name) : RefreshPolicyRef(std::string_view(name)) {}

  const RefreshPolicy& operator*() const { return *policy_; }
  const RefreshPolicy* operator->() const { return policy_; }
  bool operator==(const RefreshPolicyRef&) const = default;

 private:
  const RefreshPolicy* policy_;
};

/// Arithmetic of attention.
enum class AttentionPrecision {
  kNative,  ///< the dtype of queries, keys and values
  kInt8,    ///< 8 bits: attention/int8_attention.h
};

/// Attention of a video, or of a text. The formulas are in docs/attention_rule.md and docs/refresh_policies.md.
struct AttentionConfig {
  enum class Mode {
    kExact,       ///< one softmax over external and internal keys in every pass
    kFlashblock,  ///< external attention cached as a state, and merged. Source: arXiv 2602.05305
  };
  Mode mode = Mode::kFlashblock;
  RefreshPolicyRef refresh = "first_and_clean_pass";  ///< which passes refresh the cached external state

  /// What is done to a state that is reused.
  enum class Correction {
    kNone,     ///< nothing
    kMeanKey,  ///< its log-sum-exp follows the queries to first order, along the attention-weighted mean key
  };
  Correction correction = Correction::kMeanKey;

  std::shared_ptr<const RefreshGate> gate;  ///< read by published_gate, which needs it

  int64_t interval = 2;  ///< passes from one refresh to the next; read by every_nth. Range: 1 and up
  double bound = 0.1;    ///< error of a head over the norm of an average head's output; read by error_bound. From 0

  int64_t tau = 2;  ///< tokens decoded from one refresh to the next; read by decoded_tokens. Range: 1 and up
  /// Of text: where the cached state is reused, recompute the rows of the tokens decoded since. Not with density.
  bool recompute_decoded_rows = false;

  /// Sparse attention: the share of the external keys, the most relevant ones of each head, that every pass attends to.
  /// 0: none. Range: 0 to 1. Not with policies that decide by head.
  double density = 0;
  /// The unselected external keys of sparse attention.
  enum class Residual {
    kCached,   ///< their attention is cached, and refreshed by `refresh`
    kDropped,  ///< they are not attended to: sparse attention alone, for comparison
  };
  Residual residual = Residual::kCached;

  /// Of flashblock mode, where there are external keys. Mean keys and attention to selected keys are native.
  AttentionPrecision internal = AttentionPrecision::kNative;
  AttentionPrecision external = AttentionPrecision::kNative;

  /// How keys and values of recent frames are kept. Of both modes.
  AttentionPrecision kv_cache = AttentionPrecision::kNative;
};

/// Throws: ConfigError that names the value found and all values possible.
AttentionConfig::Mode parse_attention_mode(std::string_view name);
RefreshPolicyRef parse_refresh_policy(std::string_view name);
AttentionConfig::Correction parse_correction(std::string_view name);
AttentionConfig::Residual parse_residual(std::string_view name);
AttentionPrecision parse_attention_precision(std::string_view name);

/// Throws: ConfigError for values out of range, and for settings that exclude each other.
void validate(const AttentionConfig& config);

/// How many of a frame block's denoising passes, of `steps`, must be replayed before its clean pass so that the clean
/// pass finds the cached external state that it found in the render: 0 if the clean pass refreshes it.
int64_t passes_before_clean(const AttentionConfig& config, int64_t steps);

/// The names that the parsers accept.
std::string to_string(AttentionConfig::Mode mode);
std::string to_string(RefreshPolicyRef policy);
std::string to_string(AttentionConfig::Correction correction);
std::string to_string(AttentionConfig::Residual residual);
std::string to_string(AttentionPrecision precision);

}  // namespace flashblock
