#include "attention/attention_config.h"

#include <array>
#include <utility>

#include "attention/refresh_policy.h"
#include "core/check.h"
#include "core/error.h"
#include "core/unknown_name.h"

namespace flashblock {
namespace {

constexpr std::array<std::pair<AttentionConfig::Mode, std::string_view>, 2> kModes{{
    {AttentionConfig::Mode::kExact, "exact"},
    {AttentionConfig::Mode::kFlashblock, "flashblock"},
}};

constexpr std::array<std::pair<AttentionConfig::Correction, std::string_view>, 2> kCorrections{{
    {AttentionConfig::Correction::kNone, "none"},
    {AttentionConfig::Correction::kMeanKey, "mean_key"},
}};

constexpr std::array<std::pair<AttentionConfig::Residual, std::string_view>, 2> kResiduals{{
    {AttentionConfig::Residual::kCached, "cached"},
    {AttentionConfig::Residual::kDropped, "dropped"},
}};

constexpr std::array<std::pair<AttentionPrecision, std::string_view>, 2> kPrecisions{{
    {AttentionPrecision::kNative, "native"},
    {AttentionPrecision::kInt8, "int8"},
}};

template <typename Names>
auto parse(const Names& names, std::string_view kind, std::string_view found) {
  std::string possible;
  for (const auto& [value, name] : names) {
    if (name == found) return value;
    possible += (possible.empty() ? "" : ", ") + std::string(name);
  }
  throw unknown_name(kind, found, possible);
}

template <typename Names, typename Value>
std::string name_of(const Names& names, Value wanted) {
  for (const auto& [value, name] : names)
    if (value == wanted) return std::string(name);
  FB_CHECK(false, "unnamed enumerator ", static_cast<int>(wanted));
  return {};
}

}  // namespace

void validate(const AttentionConfig& config) {
  for (const RefreshPolicy* policy : refresh_policies()) policy->validate(config);
  if (!(config.density >= 0 && config.density <= 1)) throw ConfigError("attention.density: must be from 0 to 1");
  if (config.density > 0 && config.refresh->decides_by_head()) {
    throw ConfigError("attention.density: sparse attention selects the same keys for all heads, but " +
                      to_string(config.refresh) +
                      " refreshes single heads; set another attention.refresh, or attention.density 0");
  }
  if (config.density > 0 && config.recompute_decoded_rows) {
    throw ConfigError(
        "attention.recompute_decoded_rows: not with attention.density, which keeps no keys to recompute rows from");
  }
  if (config.density == 0 && config.residual == AttentionConfig::Residual::kDropped) {
    throw ConfigError(
        "attention.residual: 'dropped' without attention.density would leave no attention to earlier frame blocks");
  }
}

AttentionConfig::Mode parse_attention_mode(std::string_view name) { return parse(kModes, "attention mode", name); }
RefreshPolicyRef parse_refresh_policy(std::string_view name) { return name; }
AttentionConfig::Correction parse_correction(std::string_view name) { return parse(kCorrections, "correction", name); }
AttentionConfig::Residual parse_residual(std::string_view name) { return parse(kResiduals, "residual", name); }
AttentionPrecision parse_attention_precision(std::string_view name) { return parse(kPrecisions, "precision", name); }
std::string to_string(AttentionConfig::Mode mode) { return name_of(kModes, mode); }
std::string to_string(RefreshPolicyRef policy) { return std::string(policy->text().name); }
std::string to_string(AttentionConfig::Correction correction) { return name_of(kCorrections, correction); }
std::string to_string(AttentionConfig::Residual residual) { return name_of(kResiduals, residual); }
std::string to_string(AttentionPrecision precision) { return name_of(kPrecisions, precision); }

}  // namespace flashblock
