// What is kept, corrected, refreshed and selected of the attention over earlier frame blocks, against float64 and
// masks.
#include "attention/external_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "attention/block_attention.h"
#include "attention/key_selection.h"
#include "attention/refresh_gate.h"
#include "core/error.h"
#include "tests/support/cuda.h"
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
constexpr int64_t kTokensPerFrame = 6;  // three latent frames
KeptAttention compute(const at::Tensor& q, const Config& config, const Pass& pass) {
  const KeyRange past = past_keys();
  return compute_external({q, past, config, pass, kTokensPerFrame});
}
KeptAttention kept_with(const Config& config) { return compute(queries(), config, Pass::denoise(0)); }
Config corrected(RefreshPolicy refresh) { return {.refresh = refresh, .correction = Config::Correction::kMeanKey}; }
Config plain(RefreshPolicy refresh) { return {.refresh = refresh, .correction = Config::Correction::kNone}; }

// Of the queries that have a mean key of their own, not a neighbour's: largest error of the log-sum-exp.
double correction_error(double move) {
  const KeptAttention kept = kept_with(corrected(RefreshPolicy::kFirstPass));
  const at::Tensor q = moved_queries(move);
  const at::Tensor error = exact(q, past_keys()).lse - corrected_lse(q, kept).to(at::kDouble);
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
  const KeptAttention kept = kept_with(corrected(RefreshPolicy::kFirstPass));
  const at::Tensor q = moved_queries(0.3), actual = corrected_lse(q, kept);
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

TEST(ExternalAttentionCuda, CorrectionIsLikeItsTwin) {
  FLASHBLOCK_NEED_CUDA();
  for (const auto dtype : {at::kFloat, at::kBFloat16})
    for (const int64_t width : {8, 64, 96, 128, 256}) {
      const auto data = [&](const char* name, int64_t tokens) {
        return formula_data(name, {2, tokens, 5, width}, 1.7).to(at::kCUDA, dtype);
      };
      const at::Tensor q = data("q", 27), lse = formula_data("lse", {2, 5, 27}, 9.0).to(at::kCUDA);
      const KeptAttention kept{.state = {data("o", 27), lse}, .query = data("b", 27), .mean_key = data("m", 9)};
      EXPECT_TENSORS_CLOSE(corrected_lse(q, kept), corrected_lse_by_operators(q, kept), 1e-6, 1e-5) << width;
    }
}

TEST(ExternalAttention, NothingIsKeptThatNothingAsksFor) {
  EXPECT_FALSE(kept_with(plain(RefreshPolicy::kFirstPass)).query.defined());
  EXPECT_FALSE(kept_with(plain(RefreshPolicy::kErrorBound)).query.defined());
  EXPECT_FALSE(kept_with(corrected(RefreshPolicy::kEveryPass)).mean_key.defined());
  const Config config = corrected(RefreshPolicy::kFirstAndCleanPass);
  EXPECT_TRUE(kept_with(config).mean_key.defined());
  EXPECT_FALSE(compute(queries(), config, Pass::clean()).mean_key.defined());
}

// With fewer queries than kProbes every query is a probe, so the error measured is the error.
TEST(ExternalAttention, ProbesMeasureTheErrorOfReuse) {
  const at::Tensor q = moved_queries(0.5);
  const KeyRange past = past_keys();
  const AttentionState inside = attention_with_lse(q, past_keys(0.4).keys, past_keys().values);
  for (const Config& config : {plain(RefreshPolicy::kErrorBound), corrected(RefreshPolicy::kErrorBound)}) {
    const KeptAttention kept = kept_with(config);
    const at::Tensor actual = probed_error(kept, {q, past, config, Pass::denoise(1), kTokensPerFrame}, inside);
    const AttentionState fresh = exact(q, past);
    const at::Tensor right =
        merge_by_operators({fresh.output.to(at::kFloat), fresh.lse.to(at::kFloat)}, inside).output.to(at::kDouble);
    const at::Tensor wrong = merge_by_operators(reused_external(q, kept), inside).output.to(at::kDouble);
    const at::Tensor error = (wrong - right).square().sum({0, 1, 3}), size = right.square().sum({0, 1, 3});
    EXPECT_TENSORS_CLOSE(actual, (error / size.mean()).sqrt(), 1e-4, 1e-6);
  }
}

void expect_refreshed_alone(const std::function<void(KeptAttention&, const ExternalPass&)>& refresh) {
  const Config config = corrected(RefreshPolicy::kErrorBound);
  const at::Tensor q = moved_queries(0.5), heads = at::tensor({0, 2}, at::kLong), other = at::tensor({1}, at::kLong);
  const KeyRange past = past_keys();
  const KeptAttention before = kept_with(config), all = compute(q, config, Pass::denoise(1));
  KeptAttention kept = kept_with(config);
  refresh(kept, {q, past, config, Pass::denoise(1), kTokensPerFrame});
  const auto expect_heads_of = [&](const KeptAttention& expected, const at::Tensor& which) {
    const auto of = [&](const at::Tensor& x, int64_t dim) { return x.index_select(dim, which); };
    EXPECT_TENSORS_IDENTICAL(of(kept.state.output, 2), of(expected.state.output, 2));
    EXPECT_TENSORS_IDENTICAL(of(kept.state.lse, 1), of(expected.state.lse, 1));
    EXPECT_TENSORS_IDENTICAL(of(kept.query, 2), of(expected.query, 2));
    EXPECT_TENSORS_IDENTICAL(of(kept.mean_key, 2), of(expected.mean_key, 2));
  };
  expect_heads_of(all, heads);
  expect_heads_of(before, other);
}

// No mean keys are computed in the clean pass, and what was just computed is not corrected.
void expect_refreshed_in_the_clean_pass(const std::function<void(KeptAttention&, const ExternalPass&)>& refresh) {
  const Config config = corrected(RefreshPolicy::kErrorBound);
  const at::Tensor q = moved_queries(0.5);
  const KeyRange past = past_keys();
  KeptAttention kept = kept_with(config);
  refresh(kept, {q, past, config, Pass::clean(), kTokensPerFrame});
  const AttentionState actual = reused_external(q, kept), expected = exact(q, past);
  for (const int64_t head : {0, 2}) {
    EXPECT_TENSORS_NEAR_IN_NORM(actual.output.select(2, head), expected.output.select(2, head), 2e-6);
    EXPECT_TENSORS_CLOSE(actual.lse.select(1, head), expected.lse.select(1, head), 0, 1e-5);
  }
}

TEST(ExternalAttention, HeadsAreRefreshedAlone) {
  const auto refresh = [](KeptAttention& kept, const ExternalPass& pass) {
    refresh_heads(kept, at::tensor({0, 2}, at::kLong), pass);
  };
  expect_refreshed_alone(refresh);
  expect_refreshed_in_the_clean_pass(refresh);
}

TEST(ExternalAttention, HeadsThatOnlyTheDeviceKnowsAreRefreshedAlone) {
  const auto refresh = [](KeptAttention& kept, const ExternalPass& pass) {
    refresh_chosen(kept, at::tensor({1, 0, 1}, at::kLong) > 0, pass);
  };
  expect_refreshed_alone(refresh);
  expect_refreshed_in_the_clean_pass(refresh);
}

// On a GPU the host waits where it reads a tensor, or learns a shape from one.
TEST(ExternalAttention, TheChoiceOfHeadsIsNotReadByTheHost) {
  const Config config = corrected(RefreshPolicy::kErrorBound);
  const at::Tensor q = moved_queries(0.5);
  const KeyRange past = past_keys();
  const AttentionState inside = attention_with_lse(q, past.keys, past.values);
  KeptAttention kept = kept_with(config);
  static std::vector<std::string> called;
  called.clear();
  const auto handle = at::addGlobalCallback(
      at::RecordFunctionCallback([](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
        called.emplace_back(function.name());
        return nullptr;
      }).scopes({at::RecordScope::FUNCTION}));
  const ExternalPass pass{q, past, config, Pass::denoise(1), kTokensPerFrame};
  const at::Tensor chosen = probed_error(kept, pass, inside) > 0.01;
  refresh_chosen(kept, chosen, pass);
  BlockExternalCache counts;
  counts.count(chosen);
  reused_external(q, kept);
  at::removeCallback(handle);
  EXPECT_GT(called.size(), 20u) << "the operators are seen";
  for (const std::string& name : called)
    for (const char* const reading : {"item", "_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal"})
      EXPECT_NE(name, std::string("aten::") + reading);
  EXPECT_EQ(counts.computed() + counts.reused(), kHeads);
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

// One layer, 48 keys a frame block. As in a video, queries of neighboring places and of the same place in other latent
// frames are alike, and move a little between passes.
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
      const at::Tensor places = formula_data("q" + number, {1, 8, kHeads, kWidth}, sharpness);
      const at::Tensor q = places.repeat_interleave(2, 1).repeat({1, 3, 1, 1}) + move * data("q" + name, 1);
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

// Of one layer: in the second pass the first head computes, in the fourth one none, in the clean pass all.
std::shared_ptr<const RefreshGate> some_gate() {
  return std::make_shared<RefreshGate>(RefreshGate{
      .name = "some.yaml",
      .heads = kHeads,
      .steps = 4,
      .computes = {
          {{true, true, true}, {true, false, false}, {false, true, true}, {false, false, false}, {true, true, true}}}});
}

std::vector<Config> all_ways() {
  std::vector<Config> ways;
  for (const auto refresh : {RefreshPolicy::kEveryPass, RefreshPolicy::kFirstPass, RefreshPolicy::kFirstAndCleanPass,
                             RefreshPolicy::kEveryNth, RefreshPolicy::kPublishedGate, RefreshPolicy::kErrorBound})
    for (const auto correction : {Config::Correction::kNone, Config::Correction::kMeanKey})
      for (const double density : {0.0, 0.3}) {
        const Config config{.refresh = refresh, .correction = correction, .gate = some_gate(), .density = density};
        if (density == 0 || !decides_by_head(refresh)) ways.push_back(config);
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
  const LayerRun expected = run_layer(plain(RefreshPolicy::kFirstPass));
  Config config = plain(RefreshPolicy::kErrorBound);
  config.bound = 100;
  const LayerRun actual = run_layer(config);
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
  const LayerRun gated = run_layer({.refresh = RefreshPolicy::kPublishedGate, .gate = some_gate()});
  EXPECT_EQ(gated.computed, 3 * 9) << "heads in the gate's table, of each block with a past";
  EXPECT_EQ(gated.reused, 3 * 6);
  int64_t some = 0;  // bounds at which some heads are computed in later passes, and some are not
  for (const double bound : {0.06, 0.08, 0.1, 0.12, 0.14, 0.16}) {
    const LayerRun run = run_layer({.refresh = RefreshPolicy::kErrorBound, .bound = bound});
    EXPECT_EQ(run.computed + run.reused, 3 * kHeads * 5);
    some += run.computed > 3 * kHeads && run.reused > 0;
  }
  EXPECT_GT(some, 0);
}

TEST(RefreshPolicies, CorrectionLowersTheError) {
  const LayerRun expected = run_layer(kExact);
  EXPECT_LT(largest_error(run_layer(corrected(RefreshPolicy::kFirstPass)), expected),
            largest_error(run_layer(plain(RefreshPolicy::kFirstPass)), expected));
}

TEST(RefreshPolicies, TheBoundHoldsTheError) {
  const LayerRun expected = run_layer(kExact);
  double before = 0;
  for (const double bound : {0.01, 0.03, 0.1}) {
    const double error = largest_error(run_layer({.refresh = RefreshPolicy::kErrorBound, .bound = bound}), expected);
    EXPECT_LT(error, 1.5 * bound) << "measured at a part of the queries";
    EXPECT_GE(error, before);
    before = error;
  }
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
  EXPECT_THROW(validate({.refresh = RefreshPolicy::kPublishedGate}), ConfigError) << "without a gate";
  EXPECT_THROW(validate({.refresh = RefreshPolicy::kPublishedGate, .gate = some_gate(), .density = 0.2}), ConfigError);
  EXPECT_THROW(validate({.residual = Config::Residual::kDropped}), ConfigError);
  EXPECT_THROW(validate({.interval = 0}), ConfigError);
  EXPECT_THROW(validate({.bound = std::nan("")}), ConfigError);
  EXPECT_THROW(validate({.density = 1.5}), ConfigError);
}

TEST(RefreshGate, RefusesOtherModelsAndSchedules) {
  const auto refusal = [](int64_t layers, int64_t heads, int64_t steps) -> std::string {
    try {
      some_gate()->check(layers, heads, steps);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(1, kHeads, 4), "");
  EXPECT_EQ(refusal(30, 12, 4),
            "attention.gate: some.yaml is for 1 layers of 3 heads, this model has 30 layers of 12 heads; calibrate one "
            "with flashblock analyze redundancy --gate FILE");
  EXPECT_EQ(refusal(1, kHeads, 2),
            "attention.gate: some.yaml is for 4 denoising steps, this recipe has 2; calibrate one with flashblock "
            "analyze redundancy --gate FILE");
}

TEST(AttentionConfig, PassesBeforeTheCleanPassReachTheLastRefresh) {
  const auto passes = [](const Config& config) { return passes_before_clean(config, 4); };
  EXPECT_EQ(passes({.refresh = RefreshPolicy::kEveryNth, .interval = 2}), 0) << "0, 2 and the clean pass";
  EXPECT_EQ(passes({.refresh = RefreshPolicy::kEveryNth, .interval = 3}), 4) << "0 and 3";
  EXPECT_EQ(passes({.refresh = RefreshPolicy::kEveryNth, .interval = 5}), 1) << "0";
  EXPECT_EQ(passes({.refresh = RefreshPolicy::kErrorBound}), 4);
  EXPECT_EQ(passes({.refresh = RefreshPolicy::kPublishedGate}), 4);
}

}  // namespace
}  // namespace flashblock
