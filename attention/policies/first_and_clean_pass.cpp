#include "attention/refresh_policy.h"

namespace flashblock::policies {
namespace {

class FirstAndCleanPass final : public RefreshPolicy {
 public:
  FirstAndCleanPass()
      : RefreshPolicy({.name = "first_and_clean_pass",
                       .help = "the first denoising pass, and the clean pass, whose keys and values later frame blocks "
                               "attend to",
                       .cost = "2 / 3"}) {}

  bool refreshes(const AttentionConfig&, const Pass& pass, int64_t) const override {
    return pass.is_first() || pass.kind == Pass::Kind::kClean;
  }
};

}  // namespace

const RefreshPolicy& first_and_clean_pass() {
  static const FirstAndCleanPass policy;
  return policy;
}

}  // namespace flashblock::policies
