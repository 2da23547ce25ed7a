#include "attention/policies/error_bound.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "attention/external_work.h"
#include "core/error.h"
#include "tests/attention/attention_cases.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;

// With fewer queries than kProbes every query is a probe, so the error measured is the error.
TEST(ErrorBound, ProbesMeasureTheErrorOfReuse) {
  const at::Tensor q = moved_queries(0.5);
  const KeyRange past = past_keys();
  const AttentionState internal = attention_with_lse(q, past_keys(0.4).keys, past_keys().values);
  for (const AttentionConfig& config : {plain("error_bound"), corrected("error_bound")}) {
    const CachedExternal cached = cached_with(config);
    const at::Tensor actual = probed_error(cached, {q, past, config, Pass::denoise(1), kTokensPerFrame}, internal);
    const AttentionState fresh = exact(q, past);
    const at::Tensor right =
        merge_by_operators({fresh.output.to(at::kFloat), fresh.lse.to(at::kFloat)}, internal).output.to(at::kDouble);
    const at::Tensor wrong = merge_by_operators(reused_external(q, cached), internal).output.to(at::kDouble);
    const at::Tensor error = (wrong - right).square().sum({0, 1, 3}), size = right.square().sum({0, 1, 3});
    EXPECT_TENSORS_CLOSE(actual, (error / size.mean()).sqrt(), 1e-4, 1e-6);
  }
}

// On a GPU the host synchronizes where it reads a tensor, or takes a shape from one.
TEST(ErrorBound, TheHostDoesNotReadTheSelection) {
  const AttentionConfig config = corrected("error_bound");
  const at::Tensor q = moved_queries(0.5);
  const KeyRange past = past_keys();
  const AttentionState internal = attention_with_lse(q, past.keys, past.values);
  CachedExternal cached = cached_with(config);
  static std::vector<std::string> called;
  called.clear();
  const auto handle = at::addGlobalCallback(
      at::RecordFunctionCallback([](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
        called.emplace_back(function.name());
        return nullptr;
      }).scopes({at::RecordScope::FUNCTION}));
  const ExternalPass pass{q, past, config, Pass::denoise(1), kTokensPerFrame};
  const at::Tensor mask = probed_error(cached, pass, internal) > 0.01;
  refresh_masked(cached, mask, pass);
  ExternalWork work;
  work.count(HeadSelection::masked(mask), kHeads);
  reused_external(q, cached);
  at::removeCallback(handle);
  EXPECT_GT(called.size(), 20u) << "the operators are seen";
  for (const std::string& name : called)
    for (const char* const reading : {"item", "_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal"})
      EXPECT_NE(name, std::string("aten::") + reading);
  EXPECT_EQ(work.computed() + work.reused(), kHeads);
}

TEST(ErrorBound, AHighBoundIsTheFirstPassOnly) {
  const LayerRun expected = run_layer(plain("first_pass"));
  AttentionConfig config = plain("error_bound");
  config.bound = 100;
  const LayerRun actual = run_layer(config);
  for (size_t i = 0; i < expected.outputs.size(); ++i) EXPECT_TENSORS_IDENTICAL(actual.outputs[i], expected.outputs[i]);
}

TEST(ErrorBound, HoldsTheTheError) {
  const LayerRun expected = run_layer(kExact);
  double before = 0;
  for (const double bound : {0.01, 0.03, 0.1}) {
    const double error = largest_error(run_layer({.refresh = "error_bound", .bound = bound}), expected);
    EXPECT_LT(error, 1.5 * bound) << "measured at a part of the queries";
    EXPECT_GE(error, before);
    before = error;
  }
}

TEST(ErrorBound, ComputesWhatTheBoundAsksFor) {
  expect_counts({.refresh = "error_bound", .bound = 0}, 5);
  EXPECT_LT(largest_error(run_layer({.refresh = "error_bound", .bound = 0}), run_layer(kExact)), 1e-5);
  int64_t some = 0;  // bounds at which some heads are computed in later passes, and some are not
  for (const double bound : {0.06, 0.08, 0.1, 0.12, 0.14, 0.16}) {
    const LayerRun run = run_layer({.refresh = "error_bound", .bound = bound});
    EXPECT_EQ(run.computed + run.reused, kBlocksWithPast * kHeads * kPasses);
    some += run.computed > kBlocksWithPast * kHeads && run.reused > 0;
  }
  EXPECT_GT(some, 0);
  EXPECT_EQ(passes_before_clean({.refresh = "error_bound"}, 4), 4);
}

TEST(ErrorBound, RefusesSparseAttentionAndBoundsThatAreNone) {
  EXPECT_THROW(validate({.refresh = "error_bound", .density = 0.2}), ConfigError);
  EXPECT_THROW(validate({.bound = std::nan("")}), ConfigError);
}

}  // namespace
}  // namespace flashblock
