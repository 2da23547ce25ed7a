#include "attention/refresh_policy.h"

namespace flashblock::policies {
namespace {

class FirstPass final : public RefreshPolicy {
 public:
  FirstPass()
      : RefreshPolicy({.name = "first_pass", .help = "the first denoising pass of a frame block", .cost = "1 / 4"}) {}

  bool refreshes(const AttentionConfig&, const Pass& pass, int64_t) const override { return pass.is_first(); }
};

}  // namespace

const RefreshPolicy& first_pass() {
  static const FirstPass policy;
  return policy;
}

}  // namespace flashblock::policies
