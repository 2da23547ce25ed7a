// What is kept, corrected, refreshed and selected of the attention over earlier frame blocks, against float64 and
// masks.
#include "attention/external_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "attention/attention.h"
#include "attention/block_attention.h"
#include "attention/key_selection.h"
#include "core/error.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::formula_data;
using Config = AttentionConfig;

constexpr int64_t kQueries = 18, kKeys = 75, kHeads = 3, kWidth = 64;

KeyRange past_keys(double scale = 1.7) {
  return {formula_data("k", {1, kKeys, kHeads, kWidth}, scale), formula_data("v", {1, kKeys, kHeads, kWidth}, 1.7)};
}
at::Tensor queries() { return formula_data("q", {1, kQueries, kHeads, kWidth}, 1.7); }
at::Tensor moved_queries(double by) {
  return queries() + by * formula_data("move", {1, kQueries, kHeads, kWidth}, 1.0);
}
AttentionState exact(const at::Tensor& q, const KeyRange& keys) {
  return attention_by_matrix_products(q.to(at::kDouble), keys.keys.to(at::kDouble), keys.values.to(at::kDouble));
}
KeptAttention kept_with(const Config& config) {
  return compute_external(queries(), past_keys(), config, Pass::denoise(0));
}
Config corrected(RefreshPolicy refresh) { return {.refresh = refresh, .correction = Config::Correction::kMeanKey}; }

// Of the queries that have a mean key of their own, not a neighbour's: largest error of the log-sum-exp.
double correction_error(double move) {
  const KeptAttention kept = kept_with(corrected(RefreshPolicy::kFirstPass));
  const at::Tensor q = moved_queries(move);
  const at::Tensor error = exact(q, past_keys()).lse - corrected_lse(q, kept).to(at::kDouble);
  const at::Tensor own = error.slice(-1, 0, kQueries, kMeanKeyStep);
  EXPECT_GT(own.min().item<double>(), -1e-5) << "the log-sum-exp is convex, so this is a lower bound";
  return own.abs().max().item<double>();
}

TEST(ExternalAttention, CorrectionIsExactToFirstOrder) {
  const double coarse = correction_error(0.2), fine = correction_error(0.1);
  EXPECT_GT(coarse, 1e-3);
  EXPECT_LT(fine, coarse / 3.2) << "halving the move must quarter the error";
}

TEST(ExternalAttention, CorrectionFollowsTheMeanKeyOfTheNeighbour) {
  const KeptAttention kept = kept_with(corrected(RefreshPolicy::kFirstPass));
  const at::Tensor q = moved_queries(0.3), actual = corrected_lse(q, kept);
  const AttentionState means = exact(queries(), {past_keys().keys, past_keys().keys});
  const at::Tensor before = exact(queries(), past_keys()).lse;
  for (int64_t head = 0; head < kHeads; ++head)
    for (int64_t i = 0; i < kQueries; ++i) {
      const at::Tensor mean = means.output[0][i / kMeanKeyStep * kMeanKeyStep][head];
      const double change = ((q - queries())[0][i][head].to(at::kDouble) * mean).sum().item<double>() / 8;
      EXPECT_NEAR(actual[0][head][i].item<double>(), before[0][head][i].item<double>() + change, 1e-4);
    }
}

TEST(ExternalAttention, NothingIsKeptThatNothingAsksFor) {
  EXPECT_FALSE(kept_with({.refresh = RefreshPolicy::kFirstPass}).query.defined());
  EXPECT_FALSE(kept_with(corrected(RefreshPolicy::kEveryPass)).mean_key.defined());
  const Config config = corrected(RefreshPolicy::kFirstAndCleanPass);
  EXPECT_TRUE(kept_with(config).mean_key.defined());
  EXPECT_FALSE(compute_external(queries(), past_keys(), config, Pass::clean()).mean_key.defined());
}

TEST(ExternalAttention, MoveIsWeightedByTheExternalPart) {
  const KeptAttention kept = kept_with({.refresh = RefreshPolicy::kErrorBound});
  const at::Tensor q = moved_queries(0.3);
  const AttentionState inside = attention_with_lse(q, past_keys(0.4).keys, past_keys().values);
  const at::Tensor actual = weighted_move(q, kept, inside);
  for (int64_t head = 0; head < kHeads; ++head) {
    double sum = 0, size = 0;
    for (int64_t i = 0; i < kQueries; ++i) {
      const double out = kept.state.lse[0][head][i].item<double>(), in = inside.lse[0][head][i].item<double>();
      sum += std::exp(out) / (std::exp(out) + std::exp(in)) * (q - queries())[0][i][head].norm().item<double>();
      size += q[0][i][head].norm().item<double>();
    }
    EXPECT_NEAR(actual[head].item<double>(), sum / size, 1e-5);
  }
}

TEST(ExternalAttention, HeadsAreRefreshedAlone) {
  const Config config{.refresh = RefreshPolicy::kErrorBound, .correction = Config::Correction::kMeanKey};
  KeptAttention kept = kept_with(config);
  const KeptAttention before = kept_with(config);
  const at::Tensor q = moved_queries(0.5), heads = at::tensor({0, 2}, at::kLong), other = at::tensor({1}, at::kLong);
  refresh_heads(kept, heads, q, past_keys(), config, Pass::denoise(1));
  const KeptAttention all = compute_external(q, past_keys(), config, Pass::denoise(1));
  const auto expect_heads_of = [&](const KeptAttention& expected, const at::Tensor& which) {
    const auto of = [&](const at::Tensor& x, int64_t dim) { return x.index_select(dim, which); };
    EXPECT_TENSORS_CLOSE(of(kept.state.output, 2), of(expected.state.output, 2), 0, 0);
    EXPECT_TENSORS_CLOSE(of(kept.state.lse, 1), of(expected.state.lse, 1), 0, 0);
    EXPECT_TENSORS_CLOSE(of(kept.query, 2), of(expected.query, 2), 0, 0);
    EXPECT_TENSORS_CLOSE(of(kept.mean_key, 2), of(expected.mean_key, 2), 0, 0);
  };
  expect_heads_of(all, heads);
  expect_heads_of(before, other);
}

TEST(KeySelection, EveryKeyIsInOnePartOfEachHead) {
  const KeyRange past = past_keys();
  for (const double density : {0.01, 0.3, 0.75, 1.0}) {
    const KeySplit split = split_by_relevance(queries(), past, density);
    const int64_t runs = kKeys / kSelectionRun, chosen = int64_t(std::ceil(density * double(runs)));
    EXPECT_EQ(split.fresh.tokens(), chosen * kSelectionRun + kKeys % kSelectionRun) << "the tail is always fresh";
    const at::Tensor both = at::cat({split.fresh.keys, split.rest.keys}, 1);
    ASSERT_EQ(both.sizes(), past.keys.sizes());
    EXPECT_TENSORS_IDENTICAL(std::get<0>(both.select(-1, 5).sort(1)), std::get<0>(past.keys.select(-1, 5).sort(1)));
    const auto part = [](const KeyRange& keys) {
      return keys.empty() ? AttentionState{} : attention_with_lse(queries(), keys.keys, keys.values);
    };
    const at::Tensor merged = merge(part(split.fresh), part(split.rest)).output;
    EXPECT_TENSORS_NEAR_IN_NORM(merged, exact(queries(), past).output, 1e-6);
  }
}

TEST(KeySelection, TheRunWithTheMostWeightIsChosen) {
  KeyRange past = past_keys(0.1);
  for (int64_t head = 0; head < kHeads; ++head)
    past.keys.narrow(1, (head + 1) * kSelectionRun, kSelectionRun).select(2, head).copy_(queries()[0][3][head] * 3);
  const KeySplit split = split_by_relevance(queries(), past, 0.2);
  ASSERT_EQ(split.fresh.tokens(), kSelectionRun + kKeys % kSelectionRun);
  for (int64_t head = 0; head < kHeads; ++head)
    EXPECT_TENSORS_IDENTICAL(split.fresh.keys.narrow(1, 0, kSelectionRun).select(2, head),
                             past.keys.narrow(1, (head + 1) * kSelectionRun, kSelectionRun).select(2, head));
}

// One layer with 48 keys a frame block. As in a film, neighbouring queries are alike, and move a little between passes.
struct LayerRun {
  std::vector<at::Tensor> outputs;
  int64_t computed = 0, reused = 0;
};
LayerRun run_layer(const Config& config, double sharpness = 1.7, double move = 0.15) {
  LayerRun run;
  KvCache kv({16, 3, 9, 3}, 1, kHeads, kWidth, at::kCPU, at::kFloat);
  BlockExternalCache external;
  for (int64_t block = 0; block < 4; ++block) {
    for (int64_t step = 0; step < 5; ++step) {
      const std::string number = std::to_string(block), name = number + "." + std::to_string(step);
      const auto data = [&](const std::string& what, double scale) {
        return formula_data(what, {1, 48, kHeads, kWidth}, scale);
      };
      const KeyRange staged = kv.stage(3);
      staged.keys.copy_(data("k" + number, sharpness) + move * data("k" + name, 1));
      staged.values.copy_(data("v" + number, 1.7) + move * data("v" + name, 1));
      const at::Tensor fourth = formula_data("q" + number, {1, 12, kHeads, kWidth}, sharpness);
      const at::Tensor q = fourth.repeat_interleave(4, 1) + move * data("q" + name, 1);
      const Pass pass = step == 4 ? Pass::clean() : Pass::denoise(step);
      run.outputs.push_back(block_attention(q, kv, external, config, pass));
    }
    kv.commit();
    external.forget();
  }
  run.computed = external.computed();
  run.reused = external.reused();
  return run;
}
double largest_error(const LayerRun& actual, const LayerRun& expected) {
  double largest = 0;
  for (size_t i = 0; i < expected.outputs.size(); ++i)
    largest = std::max(largest, testing::relative_norm_error(actual.outputs[i], expected.outputs[i]));
  return largest;
}
const Config kExact{.mode = Config::Mode::kExact};

std::vector<Config> all_ways() {
  std::vector<Config> ways;
  for (const auto refresh : {RefreshPolicy::kEveryPass, RefreshPolicy::kFirstPass, RefreshPolicy::kFirstAndCleanPass,
                             RefreshPolicy::kEveryNth, RefreshPolicy::kErrorBound})
    for (const auto correction : {Config::Correction::kNone, Config::Correction::kMeanKey})
      for (const double density : {0.0, 0.3}) {
        const Config config{.refresh = refresh, .correction = correction, .density = density};
        if (density == 0 || refresh != RefreshPolicy::kErrorBound) ways.push_back(config);
      }
  ways.push_back({.density = 0.3, .residual = Config::Residual::kDropped});
  return ways;
}

TEST(RefreshPolicies, FirstBlockIsExactBitForBit) {
  const LayerRun expected = run_layer(kExact);
  for (const Config& config : all_ways()) {
    const LayerRun actual = run_layer(config);
    for (size_t i = 0; i < 5; ++i) EXPECT_TENSORS_IDENTICAL(actual.outputs[i], expected.outputs[i]);
    if (config.residual == Config::Residual::kCached) {
      EXPECT_LT(testing::relative_norm_error(actual.outputs[5], expected.outputs[5]), 1e-5)
          << "the first pass of a later block";
    }
  }
}

TEST(RefreshPolicies, ExtremeScoresGiveNumbers) {
  for (const Config& config : all_ways())
    for (const at::Tensor& output : run_layer(config, /*sharpness=*/60, /*move=*/20).outputs)
      EXPECT_TRUE(at::isfinite(output).all().item<bool>()) << to_string(config.refresh);
}

TEST(RefreshPolicies, RefreshedInEveryPassIsExact) {
  const LayerRun expected = run_layer(kExact);
  for (const Config& config : {Config{.refresh = RefreshPolicy::kEveryPass}, corrected(RefreshPolicy::kEveryPass),
                               Config{.refresh = RefreshPolicy::kEveryNth, .interval = 1},
                               Config{.refresh = RefreshPolicy::kErrorBound, .bound = 0}, Config{.density = 1}})
    EXPECT_LT(largest_error(run_layer(config), expected), 1e-5) << to_string(config.refresh);
}

TEST(RefreshPolicies, AHighBoundIsTheFirstPassOnly) {
  const LayerRun expected = run_layer({.refresh = RefreshPolicy::kFirstPass});
  const LayerRun actual = run_layer({.refresh = RefreshPolicy::kErrorBound, .bound = 100});
  for (size_t i = 0; i < expected.outputs.size(); ++i) EXPECT_TENSORS_IDENTICAL(actual.outputs[i], expected.outputs[i]);
}

TEST(RefreshPolicies, CountHeadsComputedAndReused) {
  const auto expect_counts = [](const Config& config, int64_t computed) {
    const LayerRun run = run_layer(config);
    EXPECT_EQ(run.computed, 3 * kHeads * computed);
    EXPECT_EQ(run.reused, 3 * kHeads * (5 - computed));
  };
  expect_counts({.refresh = RefreshPolicy::kEveryNth}, 3);
  expect_counts({.refresh = RefreshPolicy::kEveryNth, .interval = 3}, 2);
  expect_counts({.refresh = RefreshPolicy::kEveryNth, .interval = 9}, 1);
  expect_counts({.refresh = RefreshPolicy::kErrorBound, .bound = 0}, 5);
  const LayerRun some = run_layer({.refresh = RefreshPolicy::kErrorBound, .bound = 0.08});
  EXPECT_EQ(some.computed + some.reused, 3 * kHeads * 5);
  EXPECT_GT(some.computed, 3 * kHeads);
  EXPECT_GT(some.reused, 0);
}

TEST(RefreshPolicies, CorrectionLowersTheError) {
  const LayerRun expected = run_layer(kExact);
  EXPECT_LT(largest_error(run_layer(corrected(RefreshPolicy::kFirstPass)), expected),
            largest_error(run_layer({.refresh = RefreshPolicy::kFirstPass}), expected));
}

TEST(RefreshPolicies, SparseWithResidualHasAtMostHalfTheErrorOfSparseAlone) {
  const LayerRun expected = run_layer(kExact);
  for (const double density : {0.2, 0.3, 0.4}) {
    Config config{.refresh = RefreshPolicy::kFirstPass, .density = density};
    const double with_residual = largest_error(run_layer(config), expected);
    config.residual = Config::Residual::kDropped;
    EXPECT_LT(with_residual, largest_error(run_layer(config), expected) / 2) << density;
  }
}

TEST(AttentionConfig, RefusesSettingsThatExcludeEachOther) {
  EXPECT_NO_THROW(validate(Config{}));
  EXPECT_THROW(validate({.refresh = RefreshPolicy::kErrorBound, .density = 0.2}), ConfigError);
  EXPECT_THROW(validate({.residual = Config::Residual::kDropped}), ConfigError);
  EXPECT_THROW(validate({.interval = 0}), ConfigError);
  EXPECT_THROW(validate({.bound = std::nan("")}), ConfigError);
  EXPECT_THROW(validate({.density = 1.5}), ConfigError);
}

TEST(AttentionConfig, PassesBeforeTheCleanPassReachTheLastRefresh) {
  const auto passes = [](const Config& config) { return passes_before_clean(config, 4); };
  EXPECT_EQ(passes({.refresh = RefreshPolicy::kEveryNth, .interval = 2}), 0) << "0, 2 and the clean pass";
  EXPECT_EQ(passes({.refresh = RefreshPolicy::kEveryNth, .interval = 3}), 4) << "0 and 3";
  EXPECT_EQ(passes({.refresh = RefreshPolicy::kEveryNth, .interval = 5}), 1) << "0";
  EXPECT_EQ(passes({.refresh = RefreshPolicy::kErrorBound}), 4);
}

}  // namespace
}  // namespace flashblock
