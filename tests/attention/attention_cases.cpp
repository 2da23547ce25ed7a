#include "tests/attention/attention_cases.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "attention/attention.h"
#include "attention/block_attention.h"
#include "attention/policies/published_gate.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock::testing {

KeyRange past_keys(double scale) {
  return {formula_data("k", {1, kKeys, kHeads, kWidth}, scale), formula_data("v", {1, kKeys, kHeads, kWidth}, 1.7)};
}

at::Tensor queries() { return formula_data("q", {1, kQueries, kHeads, kWidth}, 1.7); }

at::Tensor moved_queries(double by) {
  return queries() + by * formula_data("move", {1, kQueries, kHeads, kWidth}, 1.0);
}

AttentionState exact(const at::Tensor& q, const KeyRange& keys) {
  return attention_by_matrix_products(q.to(at::kDouble), keys.keys.to(at::kDouble), keys.values.to(at::kDouble));
}

CachedExternal compute(const at::Tensor& q, const AttentionConfig& config, const Pass& pass) {
  const KeyRange past = past_keys();
  return compute_external({q, past, config, pass, kTokensPerFrame});
}

CachedExternal cached_with(const AttentionConfig& config) { return compute(queries(), config, Pass::denoise(0)); }

AttentionConfig corrected(RefreshPolicyRef refresh) {
  return {.refresh = refresh, .correction = AttentionConfig::Correction::kMeanKey};
}

AttentionConfig plain(RefreshPolicyRef refresh) {
  return {.refresh = refresh, .correction = AttentionConfig::Correction::kNone};
}

LayerRun run_layer(const AttentionConfig& config, double sharpness, double move) {
  LayerRun run;
  KvCache kv({16, 3, 9, 3}, 1, kHeads, kWidth, at::kCPU, at::kFloat);
  LayerExternal external;
  for (int64_t block = 0; block <= kBlocksWithPast; ++block) {
    for (int64_t step = 0; step < kPasses; ++step) {
      const std::string number = std::to_string(block), name = number + "." + std::to_string(step);
      const auto data = [&](const std::string& what, double scale) {
        return formula_data(what, {1, 48, kHeads, kWidth}, scale);
      };
      const KeyRange staged = kv.stage(3);
      staged.keys.copy_(data("k" + number, sharpness) + move * data("k" + name, 1));
      staged.values.copy_(data("v" + number, 1.7) + move * data("v" + name, 1));
      const at::Tensor places = formula_data("q" + number, {1, 8, kHeads, kWidth}, sharpness);
      const at::Tensor q = places.repeat_interleave(2, 1).repeat({1, 3, 1, 1}) + move * data("q" + name, 1);
      const Pass pass = step == kPasses - 1 ? Pass::clean() : Pass::denoise(step);
      run.outputs.push_back(block_attention(q, kv, external, config, pass));
    }
    kv.commit();
    external.cache.clear();
  }
  run.computed = external.work.computed();
  run.reused = external.work.reused();
  return run;
}

double largest_error(const LayerRun& actual, const LayerRun& expected) {
  double largest = 0;
  for (size_t i = 0; i < expected.outputs.size(); ++i)
    largest = std::max(largest, relative_norm_error(actual.outputs[i], expected.outputs[i]));
  return largest;
}

void expect_counts(const AttentionConfig& config, int64_t computed) {
  const LayerRun run = run_layer(config);
  EXPECT_EQ(run.computed, kBlocksWithPast * kHeads * computed);
  EXPECT_EQ(run.reused, kBlocksWithPast * kHeads * (kPasses - computed));
}

std::shared_ptr<const RefreshGate> some_gate() {
  return std::make_shared<RefreshGate>(RefreshGate{
      .name = "some.yaml",
      .heads = kHeads,
      .steps = 4,
      .computes = {
          {{true, true, true}, {true, false, false}, {false, true, true}, {false, false, false}, {true, true, true}}}});
}

}  // namespace flashblock::testing
