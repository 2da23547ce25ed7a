// External attention: what is cached, corrected and refreshed, against float64.
#include "attention/external_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/attention/attention_cases.h"
#include "tests/support/cuda.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;
using Refresh = std::function<void(ExternalCache&, const ExternalPass&)>;

// Of the queries that have a mean key of their own, not a neighbour's: largest error of the log-sum-exp.
double correction_error(double move) {
  const CachedExternal cached = cached_with(corrected("first_pass"));
  const at::Tensor q = moved_queries(move);
  const at::Tensor error = exact(q, past_keys()).lse - corrected_lse(q, cached).to(at::kDouble);
  const at::Tensor own = error.slice(-1, kTokensPerFrame, 2 * kTokensPerFrame, kMeanKeyStep);  // the middle frame
  EXPECT_GT(own.min().item<double>(), -1e-5) << "the log-sum-exp is convex, so this is a lower bound";
  return own.abs().max().item<double>();
}

TEST(ExternalAttention, CorrectionIsExactToFirstOrder) {
  const double coarse = correction_error(0.2), fine = correction_error(0.1);
  EXPECT_GT(coarse, 1e-3);
  EXPECT_LT(fine, coarse / 3.2) << "halving the move must quarter the error";
}

TEST(ExternalAttention, CorrectionFollowsTheMeanKeyOfTheSamePlaceInTheMiddleFrame) {
  const CachedExternal cached = cached_with(corrected("first_pass"));
  const at::Tensor q = moved_queries(0.3), actual = corrected_lse(q, cached);
  const AttentionState means = exact(queries(), {past_keys().keys, past_keys().keys});
  const at::Tensor before = exact(queries(), past_keys()).lse;
  for (int64_t head = 0; head < kHeads; ++head)
    for (int64_t i = 0; i < kQueries; ++i) {
      const int64_t place = i % kTokensPerFrame / kMeanKeyStep * kMeanKeyStep;
      const at::Tensor mean = means.output[0][kTokensPerFrame + place][head];
      const double change = ((q - queries())[0][i][head].to(at::kDouble) * mean).sum().item<double>() / 8;
      EXPECT_NEAR(actual[0][head][i].item<double>(), before[0][head][i].item<double>() + change, 1e-4);
    }
}

TEST(ExternalAttentionCuda, CorrectionIsLikeTheReference) {
  FLASHBLOCK_NEED_CUDA();
  for (const auto dtype : {at::kFloat, at::kBFloat16})
    for (const int64_t width : {8, 64, 96, 128, 256}) {
      const auto data = [&](const char* name, int64_t tokens) {
        return formula_data(name, {2, tokens, 5, width}, 1.7).to(testing::kGpu, dtype);
      };
      const at::Tensor q = data("q", 27), lse = formula_data("lse", {2, 5, 27}, 9.0).to(testing::kGpu);
      const CachedExternal cached{.state = {data("o", 27), lse}, .query = data("b", 27), .mean_key = data("m", 9)};
      EXPECT_TENSORS_CLOSE(corrected_lse(q, cached), corrected_lse_by_operators(q, cached), 1e-6, 1e-5) << width;
    }
}

TEST(ExternalAttention, CachesOnlyWhatTheConfigurationNeeds) {
  EXPECT_FALSE(cached_with(plain("first_pass")).query.defined());
  EXPECT_FALSE(cached_with(plain("error_bound")).query.defined());
  EXPECT_FALSE(cached_with(corrected("every_pass")).mean_key.defined());
  const AttentionConfig config = corrected("first_and_clean_pass");
  EXPECT_TRUE(cached_with(config).mean_key.defined());
  EXPECT_FALSE(compute(queries(), config, Pass::clean()).mean_key.defined());
}

void expect_refreshed_alone(const Refresh& refresh) {
  const AttentionConfig config = corrected("error_bound");
  const at::Tensor q = moved_queries(0.5), heads = at::tensor({0, 2}, at::kLong), other = at::tensor({1}, at::kLong);
  const KeyRange past = past_keys();
  const CachedExternal before = cached_with(config), all = compute(q, config, Pass::denoise(1));
  ExternalCache cache;
  cache.store(cached_with(config));
  refresh(cache, {q, past, config, Pass::denoise(1), kTokensPerFrame});
  const CachedExternal& cached = cache.state();
  const auto expect_heads_of = [&](const CachedExternal& expected, const at::Tensor& which) {
    const auto of = [&](const at::Tensor& x, int64_t dim) { return x.index_select(dim, which); };
    EXPECT_TENSORS_IDENTICAL(of(cached.state.output, 2), of(expected.state.output, 2));
    EXPECT_TENSORS_IDENTICAL(of(cached.state.lse, 1), of(expected.state.lse, 1));
    EXPECT_TENSORS_IDENTICAL(of(cached.query, 2), of(expected.query, 2));
    EXPECT_TENSORS_IDENTICAL(of(cached.mean_key, 2), of(expected.mean_key, 2));
  };
  expect_heads_of(all, heads);
  expect_heads_of(before, other);
}

// No mean keys are computed in the clean pass, and what was just computed is not corrected.
void expect_refreshed_in_the_clean_pass(const Refresh& refresh) {
  const AttentionConfig config = corrected("error_bound");
  const at::Tensor q = moved_queries(0.5);
  const KeyRange past = past_keys();
  ExternalCache cache;
  cache.store(cached_with(config));
  refresh(cache, {q, past, config, Pass::clean(), kTokensPerFrame});
  const CachedExternal& cached = cache.state();
  const AttentionState actual = reused_external(q, cached), expected = exact(q, past);
  for (const int64_t head : {0, 2}) {
    EXPECT_TENSORS_NEAR_IN_NORM(actual.output.select(2, head), expected.output.select(2, head), 2e-6);
    EXPECT_TENSORS_CLOSE(actual.lse.select(1, head), expected.lse.select(1, head), 0, 1e-5);
  }
}

void expect_selected_heads_are_refreshed(const Refresh& refresh) {
  expect_refreshed_alone(refresh);
  expect_refreshed_in_the_clean_pass(refresh);
}

TEST(ExternalAttention, ListedHeadsAreRefreshedAlone) {
  expect_selected_heads_are_refreshed([](ExternalCache& cache, const ExternalPass& pass) {
    refresh(cache, HeadSelection::listed(at::tensor({0, 2}, at::kLong)), pass);
  });
}

TEST(ExternalAttention, MaskedHeadsAreRefreshedAlone) {
  const at::Tensor mask = at::tensor({1, 0, 1}, at::kLong) > 0;
  expect_selected_heads_are_refreshed([&](ExternalCache& cache, const ExternalPass& pass) {
    refresh(cache, HeadSelection::masked(mask), pass);  // on a CPU only these heads are computed
  });
  expect_selected_heads_are_refreshed(
      [&](ExternalCache& cache, const ExternalPass& pass) { refresh_masked(cache.state(), mask, pass); });
}

TEST(ExternalAttention, AHeadSelectionIsAMaskOfTheHeads) {
  const at::Tensor q = queries(), mask = at::tensor({0, 1, 1}, at::kLong) > 0;
  EXPECT_EQ(HeadSelection::none().mask(q).sum().item<int64_t>(), 0);
  EXPECT_EQ(HeadSelection::all().mask(q).sum().item<int64_t>(), kHeads);
  EXPECT_TENSORS_IDENTICAL(HeadSelection::listed(at::tensor({1, 2}, at::kLong)).mask(q), mask);
  EXPECT_TENSORS_IDENTICAL(HeadSelection::masked(mask).mask(q), mask);
}

TEST(ExternalAttention, CorrectionLowersTheError) {
  const LayerRun expected = run_layer(kExact);
  EXPECT_LT(largest_error(run_layer(corrected("first_pass")), expected),
            largest_error(run_layer(plain("first_pass")), expected));
}

TEST(ExternalAttention, SparseWithResidualHasAtMostHalfTheErrorOfSparseAlone) {
  const LayerRun expected = run_layer(kExact);
  for (const double density : {0.2, 0.3, 0.4}) {
    AttentionConfig config{.refresh = "first_pass", .density = density};
    const double with_residual = largest_error(run_layer(config), expected);
    config.residual = AttentionConfig::Residual::kDropped;
    EXPECT_LT(with_residual, largest_error(run_layer(config), expected) / 2) << density;
  }
}

}  // namespace
}  // namespace flashblock
