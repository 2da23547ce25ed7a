#include "attention/attention_config.h"

#include <array>
#include <utility>

#include "core/check.h"
#include "core/error.h"

namespace flashblock {
namespace {

constexpr std::array<std::pair<AttentionConfig::Mode, std::string_view>, 2> kModes{{
    {AttentionConfig::Mode::kExact, "exact"},
    {AttentionConfig::Mode::kFlashblock, "flashblock"},
}};

constexpr std::array<std::pair<RefreshPolicy, std::string_view>, 6> kPolicies{{
    {RefreshPolicy::kEveryPass, "every_pass"},
    {RefreshPolicy::kFirstPass, "first_pass"},
    {RefreshPolicy::kFirstAndCleanPass, "first_and_clean_pass"},
    {RefreshPolicy::kEveryNth, "every_nth"},
    {RefreshPolicy::kPublishedGate, "published_gate"},
    {RefreshPolicy::kErrorBound, "error_bound"},
}};

constexpr std::array<std::pair<AttentionConfig::Correction, std::string_view>, 2> kCorrections{{
    {AttentionConfig::Correction::kNone, "none"},
    {AttentionConfig::Correction::kMeanKey, "mean_key"},
}};

constexpr std::array<std::pair<AttentionConfig::Residual, std::string_view>, 2> kResiduals{{
    {AttentionConfig::Residual::kCached, "cached"},
    {AttentionConfig::Residual::kDropped, "dropped"},
}};

template <typename Names>
auto parse(const Names& names, std::string_view what, std::string_view found) {
  std::string possible;
  for (const auto& [value, name] : names) {
    if (name == found) return value;
    possible += (possible.empty() ? "" : ", ") + std::string(name);
  }
  throw ConfigError(std::string(what) + ": '" + std::string(found) + "' is unknown; possible are " + possible);
}

template <typename Names, typename Value>
std::string name_of(const Names& names, Value wanted) {
  for (const auto& [value, name] : names)
    if (value == wanted) return std::string(name);
  FB_CHECK(false, "unnamed enumerator ", static_cast<int>(wanted));
  return {};
}

}  // namespace

bool decides_by_head(RefreshPolicy policy) {
  return policy == RefreshPolicy::kPublishedGate || policy == RefreshPolicy::kErrorBound;
}

bool refreshes(const AttentionConfig& config, const Pass& pass, int64_t age) {
  const bool clean = pass.kind == Pass::Kind::kClean;
  switch (config.refresh) {
    case RefreshPolicy::kEveryPass:
      return true;
    case RefreshPolicy::kFirstPass:
      return !clean && pass.step_index == 0;
    case RefreshPolicy::kFirstAndCleanPass:
      return clean || pass.step_index == 0;
    case RefreshPolicy::kEveryNth:
      return age >= config.interval || (!clean && pass.step_index == 0);
    case RefreshPolicy::kPublishedGate:
    case RefreshPolicy::kErrorBound:
      return !clean && pass.step_index == 0;
  }
  FB_CHECK(false, "unknown refresh policy ", static_cast<int>(config.refresh));
  return true;
}

int64_t passes_before_clean(const AttentionConfig& config, int64_t steps) {
  if (config.mode == AttentionConfig::Mode::kExact) return 0;
  switch (config.refresh) {
    case RefreshPolicy::kEveryPass:
    case RefreshPolicy::kFirstAndCleanPass:
      return 0;
    case RefreshPolicy::kFirstPass:
      return 1;
    case RefreshPolicy::kEveryNth:
      return steps % config.interval == 0 ? 0 : (steps - 1) / config.interval * config.interval + 1;
    case RefreshPolicy::kPublishedGate:
    case RefreshPolicy::kErrorBound:
      return steps;
  }
  return steps;
}

void validate(const AttentionConfig& config) {
  const auto refuse = [](const std::string& message) { throw ConfigError("attention." + message); };
  if (config.interval < 1) refuse("interval: " + std::to_string(config.interval) + ": must be at least 1");
  if (!(config.bound >= 0)) refuse("bound: must be at least 0");
  if (!(config.density >= 0 && config.density <= 1)) refuse("density: must be from 0 to 1");
  if (config.mode == AttentionConfig::Mode::kFlashblock && config.refresh == RefreshPolicy::kPublishedGate &&
      !config.gate) {
    refuse("refresh: published_gate needs attention.gate, a file that flashblock analyze redundancy --gate FILE makes");
  }
  if (config.density > 0 && decides_by_head(config.refresh)) {
    refuse(
        "density: sparse attention keeps one choice of keys for all heads, this policy refreshes heads one by one; "
        "take another attention.refresh, or density 0");
  }
  if (config.density == 0 && config.residual == AttentionConfig::Residual::kDropped) {
    refuse("residual: 'dropped' without attention.density would leave no attention to earlier frame blocks");
  }
}

AttentionConfig::Mode parse_attention_mode(std::string_view name) { return parse(kModes, "attention mode", name); }
RefreshPolicy parse_refresh_policy(std::string_view name) { return parse(kPolicies, "attention.refresh", name); }
AttentionConfig::Correction parse_correction(std::string_view name) {
  return parse(kCorrections, "attention.correction", name);
}
AttentionConfig::Residual parse_residual(std::string_view name) {
  return parse(kResiduals, "attention.residual", name);
}
std::string to_string(AttentionConfig::Mode mode) { return name_of(kModes, mode); }
std::string to_string(RefreshPolicy policy) { return name_of(kPolicies, policy); }
std::string to_string(AttentionConfig::Correction correction) { return name_of(kCorrections, correction); }
std::string to_string(AttentionConfig::Residual residual) { return name_of(kResiduals, residual); }

}  // namespace flashblock
