#include "attention/refresh_policy.h"

namespace flashblock::policies {
namespace {

class EveryPass final : public RefreshPolicy {
 public:
  EveryPass()
      : RefreshPolicy({.name = "every_pass",
                       .help = "every pass: equal to exact attention up to the rounding of the merge",
                       .cost = "5 / 0"}) {}

  bool refreshes(const AttentionConfig&, const Pass&, int64_t) const override { return true; }
};

}  // namespace

const RefreshPolicy& every_pass() {
  static const EveryPass policy;
  return policy;
}

}  // namespace flashblock::policies
