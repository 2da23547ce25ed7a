#include "attention/refresh_policy.h"
#include "core/error.h"

namespace flashblock::policies {
namespace {

class EveryNth final : public RefreshPolicy {
 public:
  EveryNth()
      : RefreshPolicy({.name = "every_nth",
                       .help = "every `attention.interval`-th pass; the clean pass counts as the last one",
                       .cost = "3 / 2 at interval 2",
                       .keys = {"attention.interval"}}) {}

  bool refreshes(const AttentionConfig& config, const Pass& pass, int64_t age) const override {
    return pass.is_first() || age >= config.interval;
  }

  void validate(const AttentionConfig& config) const override {
    if (config.interval < 1)
      throw ConfigError("attention.interval: " + std::to_string(config.interval) + ": must be at least 1");
  }
};

}  // namespace

const RefreshPolicy& every_nth() {
  static const EveryNth policy;
  return policy;
}

}  // namespace flashblock::policies
