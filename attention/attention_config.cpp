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

constexpr std::array<std::pair<RefreshPolicy, std::string_view>, 3> kPolicies{{
    {RefreshPolicy::kEveryPass, "every_pass"},
    {RefreshPolicy::kFirstPass, "first_pass"},
    {RefreshPolicy::kFirstAndCleanPass, "first_and_clean_pass"},
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

bool refreshes(RefreshPolicy policy, const Pass& pass) {
  if (pass.kind == Pass::Kind::kClean) return policy != RefreshPolicy::kFirstPass;
  return pass.step_index == 0 || policy == RefreshPolicy::kEveryPass;
}

int64_t passes_before_clean(const AttentionConfig& config, int64_t steps) {
  if (config.mode == AttentionConfig::Mode::kExact || refreshes(config.refresh, Pass::clean())) return 0;
  int64_t passes = steps;  // up to the last one that computes it
  while (passes > 1 && !refreshes(config.refresh, Pass::denoise(passes - 1))) --passes;
  return passes;
}

AttentionConfig::Mode parse_attention_mode(std::string_view name) { return parse(kModes, "attention mode", name); }
RefreshPolicy parse_refresh_policy(std::string_view name) { return parse(kPolicies, "attention.refresh", name); }
std::string to_string(AttentionConfig::Mode mode) { return name_of(kModes, mode); }
std::string to_string(RefreshPolicy policy) { return name_of(kPolicies, policy); }

}  // namespace flashblock
