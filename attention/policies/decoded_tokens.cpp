#include "attention/refresh_policy.h"
#include "core/error.h"

namespace flashblock::policies {
namespace {

// Source: arXiv 2602.05305, text decoding: external attention is computed in a block's first pass, again once two or
// more tokens were decoded since, and in the clean pass.
class DecodedTokens final : public RefreshPolicy {
 public:
  DecodedTokens()
      : RefreshPolicy({.name = "decoded_tokens",
                       .help = "of text: the first pass, each pass before which `attention.tau` or more tokens were "
                               "decoded since the last refresh, and the clean pass",
                       .cost = "3 / 2 at one token a pass",
                       .keys = {"attention.tau"},
                       .text_only = true}) {}

  bool refreshes(const AttentionConfig& config, const Pass& pass, int64_t) const override {
    return pass.is_first() || pass.kind == Pass::Kind::kClean || pass.decoded_tokens >= config.tau;
  }

  void validate(const AttentionConfig& config) const override {
    if (config.tau < 1) throw ConfigError("attention.tau: " + std::to_string(config.tau) + ": must be at least 1");
  }
};

}  // namespace

const RefreshPolicy& decoded_tokens() {
  static const DecodedTokens policy;
  return policy;
}

}  // namespace flashblock::policies
