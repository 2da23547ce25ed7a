// Refresh policies: which passes recompute the cached external attention, and of which heads. One file per policy in
// attention/policies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attention/attention_config.h"
#include "attention/attention_state.h"
#include "attention/head_selection.h"

namespace flashblock {

struct CachedExternal;  // attention/external_cache.h
struct ExternalPass;    // attention/external_attention.h

/// What configuration, help and docs say of a policy.
struct RefreshPolicyText {
  std::string_view name;  ///< value of `attention.refresh`
  std::string_view help;  ///< the passes and heads that it refreshes, in one line
  /// External attentions computed / reused per frame block and layer, with four denoising passes and the clean pass.
  std::string_view cost;
  std::vector<std::string_view> keys = {};  ///< configuration keys that it reads: "attention.interval"
  bool text_only = false;                   ///< depends on decoded tokens, which videos do not have
};

/// Sizes that a calibrated policy must have been calibrated for.
struct CalibratedSizes {
  int64_t layers = 0;
  int64_t heads = 0;  ///< of a layer
  int64_t steps = 0;  ///< denoising passes of a frame block
};

/// Decides what each pass of a frame block refreshes. The first pass over a frame block finds an empty cache and
/// computes all heads, whatever the policy. Thread safety: const methods only; called on the denoising thread.
class RefreshPolicy {
 public:
  explicit RefreshPolicy(RefreshPolicyText text) : text_(std::move(text)) {}
  virtual ~RefreshPolicy() = default;
  RefreshPolicy(const RefreshPolicy&) = delete;
  RefreshPolicy& operator=(const RefreshPolicy&) = delete;

  const RefreshPolicyText& text() const { return text_; }
  bool reads(std::string_view key) const;  ///< whether it depends on this configuration key

  /// True if `pass` refreshes all heads of a state that was computed `age` passes ago, age >= 1. Decides by these
  /// values alone, so that a resumed render can tell in advance.
  virtual bool refreshes(const AttentionConfig& config, const Pass& pass, int64_t age) const = 0;

  /// True if passes that do not refresh all heads ask select_heads.
  virtual bool decides_by_head() const { return false; }

  /// The heads to refresh in a pass that does not refresh all. Must not make the host wait for the device.
  virtual HeadSelection select_heads(const ExternalPass& pass, const CachedExternal& cached,
                                     const AttentionState& internal) const;

  /// Checks the policy's own parameters, also where another policy is configured. Throws: ConfigError.
  virtual void validate(const AttentionConfig&) const {}

  /// Checks what the policy was calibrated for. Throws: ConfigError.
  virtual void check_sizes(const AttentionConfig&, const CalibratedSizes&) const {}

 private:
  RefreshPolicyText text_;
};

/// All policies, in the order in which help and docs list them.
const std::vector<const RefreshPolicy*>& refresh_policies();

/// The names of all policies: "every_pass, first_pass, ...".
std::string refresh_policy_names();

/// Adds a policy of another program to the registry for as long as this object lives; `policy` must live as long.
/// Requires: a name that is not taken. Thread safety: none; register before any render.
class RefreshPolicyRegistration {
 public:
  explicit RefreshPolicyRegistration(const RefreshPolicy& policy);
  ~RefreshPolicyRegistration();
  RefreshPolicyRegistration(const RefreshPolicyRegistration&) = delete;
  RefreshPolicyRegistration& operator=(const RefreshPolicyRegistration&) = delete;

 private:
  const RefreshPolicy* policy_;
};

/// True if a later pass over the same keys may reuse what `pass` computes.
bool reused_later(const AttentionConfig& config, const Pass& pass);

}  // namespace flashblock
