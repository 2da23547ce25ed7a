#include "attention/policies/error_bound.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "attention/refresh_policy.h"
#include "core/check.h"
#include "core/error.h"
#include "core/process_group.h"

namespace flashblock {
namespace {

AttentionState at_queries(const AttentionState& state, const at::Tensor& index) {
  return {state.output.index_select(1, index), state.lse.index_select(2, index)};
}

// `cached` as it serves the queries `index`, corrected for the probes q.
AttentionState reused_at(const CachedExternal& cached, const at::Tensor& index, const at::Tensor& q) {
  CachedExternal probes{.state = at_queries(cached.state, index)};
  if (!cached.mean_key.defined()) return probes.state;
  probes.query = cached.query.index_select(1, index);
  probes.mean_key = cached.mean_key.index_select(1, index.remainder(cached.mean_key.size(1)));
  return {probes.state.output, corrected_lse_by_operators(q, probes)};
}

// Squares summed over all dimensions but the heads: [N].
at::Tensor squares_by_head(const at::Tensor& x) { return x.square().sum({0, 1, 3}); }

// The mean over all heads of the layer. `values`: [N], of this process's.
at::Tensor mean_of_layer(const at::Tensor& values, const HeadShare& share) {
  if (!share.group) return values.mean();
  const at::Tensor count = at::scalar_tensor(values.numel(), values.options());
  const at::Tensor sum_and_count = share.group->sum(at::stack({values.sum(), count}));
  return sum_and_count[0] / sum_and_count[1];
}

class ErrorBound final : public RefreshPolicy {
 public:
  ErrorBound()
      : RefreshPolicy({.name = "error_bound",
                       .help =
                           "the first pass; then each head whose reuse would be off by more than `attention.bound`, "
                           "measured at a few queries",
                       .cost = "as needed",
                       .keys = {"attention.bound"}}) {}

  bool refreshes(const AttentionConfig&, const Pass& pass, int64_t) const override { return pass.is_first(); }
  bool decides_by_head() const override { return true; }

  HeadSelection select_heads(const ExternalPass& pass, const CachedExternal& cached,
                             const AttentionState& internal) const override {
    return HeadSelection::masked(probed_error(cached, pass, internal) > pass.config.bound);
  }

  void validate(const AttentionConfig& config) const override {
    if (!(config.bound >= 0)) throw ConfigError("attention.bound: must be at least 0");
  }
};

}  // namespace

at::Tensor probed_error(const CachedExternal& cached, const ExternalPass& pass, const AttentionState& internal) {
  FB_CHECK(!cached.selected.keys.defined(), "errors are measured of dense attention");
  // An odd step does not stay in one column of the frame.
  const int64_t step = (pass.q.size(1) + kProbes - 1) / kProbes | 1;
  const at::Tensor index = at::arange(0, pass.q.size(1), step, pass.q.options().dtype(at::kLong));
  const at::Tensor q = pass.q.index_select(1, index);
  const AttentionState reused = reused_at(cached, index, q), internal_probes = at_queries(internal, index);
  const AttentionState exact = attention_to_parts(q, pass.past);
  const at::Tensor right = merge_by_operators(exact, internal_probes).output.to(at::kFloat);
  const at::Tensor wrong = merge_by_operators(reused, internal_probes).output.to(at::kFloat);
  const at::Tensor norms = squares_by_head(right);
  return (squares_by_head(wrong - right) / mean_of_layer(norms, pass.share).clamp_min(1e-30)).sqrt();
}

}  // namespace flashblock

namespace flashblock::policies {

const RefreshPolicy& error_bound() {
  static const ErrorBound policy;
  return policy;
}

}  // namespace flashblock::policies
