#include "attention/refresh_policy.h"

#include <algorithm>

#include "core/check.h"
#include "core/unknown_name.h"

namespace flashblock {

std::vector<const RefreshPolicy*> built_in_refresh_policies();  // generated from attention/CMakeLists.txt

namespace {

std::vector<const RefreshPolicy*>& registry() {
  static std::vector<const RefreshPolicy*> policies = built_in_refresh_policies();
  return policies;
}

const RefreshPolicy* find(std::string_view name) {
  for (const RefreshPolicy* policy : registry())
    if (policy->text().name == name) return policy;
  return nullptr;
}

}  // namespace

bool RefreshPolicy::reads(std::string_view key) const {
  return std::find(text_.keys.begin(), text_.keys.end(), key) != text_.keys.end();
}

HeadSelection RefreshPolicy::select_heads(const ExternalPass&, const CachedExternal&, const AttentionState&) const {
  return HeadSelection::none();
}

const std::vector<const RefreshPolicy*>& refresh_policies() { return registry(); }

std::string refresh_policy_names() {
  std::string names;
  for (const RefreshPolicy* policy : registry())
    names += (names.empty() ? "" : ", ") + std::string(policy->text().name);
  return names;
}

RefreshPolicyRegistration::RefreshPolicyRegistration(const RefreshPolicy& policy) : policy_(&policy) {
  FB_CHECK(!find(policy.text().name), "a policy named ", policy.text().name, " is registered");
  registry().push_back(policy_);
}

RefreshPolicyRegistration::~RefreshPolicyRegistration() { std::erase(registry(), policy_); }

RefreshPolicyRef::RefreshPolicyRef(std::string_view name) : policy_(find(name)) {
  if (!policy_) throw unknown_name("refresh policy", name, refresh_policy_names());
}

bool reused_later(const AttentionConfig& config, const Pass& pass) {
  const RefreshPolicy& policy = *config.refresh;
  if (pass.kind == Pass::Kind::kClean) return false;
  return !policy.refreshes(config, Pass::denoise(pass.step_index + 1), 1) ||
         !policy.refreshes(config, Pass::clean(), 1);
}

int64_t passes_before_clean(const AttentionConfig& config, int64_t steps) {
  if (config.mode == AttentionConfig::Mode::kExact) return 0;
  const RefreshPolicy& policy = *config.refresh;
  int64_t refreshed = 0;  // the latest step that refreshes all heads
  for (int64_t step = 1; step < steps; ++step)
    if (policy.refreshes(config, Pass::denoise(step), step - refreshed)) refreshed = step;
  if (policy.refreshes(config, Pass::clean(), steps - refreshed)) return 0;
  return policy.decides_by_head() ? steps : refreshed + 1;
}

}  // namespace flashblock
