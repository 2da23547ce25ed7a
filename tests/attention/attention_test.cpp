// The fast attention kernels against matrix products, and the merge of states against attention over all keys at once.
#include "attention/attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "tests/support/cuda.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::formula_data;

struct Inputs {
  at::Tensor q, k, v;
};

// `sharpness` scales the scores: 1 gives weights of similar size, 30 a nearly hard choice.
Inputs inputs(int64_t queries, int64_t keys, int64_t heads, int64_t width, at::TensorOptions options,
              double sharpness = 1.7) {
  return {formula_data("q", {2, queries, heads, width}, sharpness).to(options),
          formula_data("k", {2, keys, heads, width}, 1.7).to(options),
          formula_data("v", {2, keys, heads, width}, 1.7).to(options)};
}

Inputs first_keys(const Inputs& x, int64_t count) { return {x.q, x.k.narrow(1, 0, count), x.v.narrow(1, 0, count)}; }
Inputs other_keys(const Inputs& x, int64_t from) {
  return {x.q, x.k.narrow(1, from, x.k.size(1) - from), x.v.narrow(1, from, x.v.size(1) - from)};
}

AttentionState exact(const Inputs& x) {
  return attention_by_matrix_products(x.q.to(at::kDouble), x.k.to(at::kDouble), x.v.to(at::kDouble));
}

// Relative to the float64 result: float32 sums of up to 300 terms; bf16 weights and outputs, 2^-9 each.
double tolerance(at::ScalarType dtype) { return dtype == at::kFloat ? 2e-6 : 6e-3; }
// Absolute, of the lse: bf16 inputs are exact, scores and sums are float32 (CPU) or better than 1e-4 (GPU kernels).
constexpr double kLseTolerance = 1e-4;

void expect_near_exact(at::TensorOptions options) {
  const at::ScalarType dtype = c10::typeMetaToScalarType(options.dtype());
  for (const auto& [queries, keys, width] :
       {std::tuple{1, 1, 64}, {3, 5, 64}, {33, 17, 128}, {72, 300, 64}, {144, 72, 128}, {65, 129, 32}}) {
    const Inputs x = inputs(queries, keys, 3, width, options);
    const AttentionState expected = exact(x), actual = attention_with_lse(x.q, x.k, x.v);
    EXPECT_TENSORS_NEAR_IN_NORM(actual.output, expected.output, tolerance(dtype)) << queries << 'x' << keys;
    EXPECT_TENSORS_NEAR_IN_NORM(attention(x.q, x.k, x.v), expected.output, tolerance(dtype)) << queries << 'x' << keys;
    EXPECT_EQ(actual.lse.scalar_type(), at::kFloat);
    EXPECT_TENSORS_CLOSE(actual.lse, expected.lse, 0, kLseTolerance) << queries << 'x' << keys;
    EXPECT_TRUE(actual.output.is_contiguous()) << "the caller joins heads without a copy";
  }
}

void expect_merge_equals_attention_over_all(at::TensorOptions options) {
  const at::ScalarType dtype = c10::typeMetaToScalarType(options.dtype());
  for (const double sharpness : {1.7, 30.0})
    for (const int64_t split : {1, 64, 100, 199}) {
      const Inputs x = inputs(48, 200, 3, 64, options, sharpness);
      const Inputs external = first_keys(x, split), internal = other_keys(x, split);
      const AttentionState merged = merge(attention_with_lse(external.q, external.k, external.v),
                                          attention_with_lse(internal.q, internal.k, internal.v));
      const AttentionState expected = exact(x);
      EXPECT_TENSORS_NEAR_IN_NORM(merged.output, expected.output, tolerance(dtype)) << "split at " << split;
      EXPECT_TENSORS_CLOSE(merged.lse, expected.lse, 1e-5, kLseTolerance) << "split at " << split;
      EXPECT_EQ(merged.output.scalar_type(), dtype);
    }
}

// Scores of +-10^4, where exp overflows and underflows: the merge must give the side that holds the larger score.
void expect_extreme_scores_survive(at::TensorOptions options) {
  const at::Tensor q = at::full({1, 2, 1, 64}, 35.0, options);
  at::Tensor k = at::full({1, 4, 1, 64}, -35.0, options);  // score -35 * 35 * 64 / 8 = -9800
  k.select(1, 3).fill_(35.0);                              // +9800
  const at::Tensor v = formula_data("v", {1, 4, 1, 64}, 1).to(options);
  const auto state = [&](int64_t from, int64_t count) {
    return attention_with_lse(q, k.narrow(1, from, count), v.narrow(1, from, count));
  };
  const at::Tensor largest = v.select(1, 3).unsqueeze(1).expand({1, 2, 1, 64});
  EXPECT_TENSORS_CLOSE(merge(state(0, 3), state(3, 1)).output, largest, 0, 0) << "large score internal";
  EXPECT_TENSORS_CLOSE(merge(state(3, 1), state(0, 3)).output, largest, 0, 0) << "large score external";
  EXPECT_TENSORS_CLOSE(merge(state(0, 3), state(3, 1)).lse, at::full({1, 1, 2}, 9800.0), 1e-6, 0);
  const Inputs low{q, k.narrow(1, 0, 3), v.narrow(1, 0, 3)};
  EXPECT_TENSORS_CLOSE(merge(state(0, 1), state(1, 2)).output, exact(low).output, 1e-2, 1e-2) << "all scores low";
}

TEST(Attention, Float32IsNearTheFloat64Result) { expect_near_exact(at::kFloat); }
TEST(Attention, Bfloat16IsNearTheFloat64Result) { expect_near_exact(at::kBFloat16); }
TEST(AttentionCuda, Float32IsNearTheFloat64Result) {
  FLASHBLOCK_NEED_CUDA();
  expect_near_exact(at::TensorOptions(testing::kGpu).dtype(at::kFloat));
}
TEST(AttentionCuda, Bfloat16IsNearTheFloat64Result) {
  FLASHBLOCK_NEED_CUDA();
  expect_near_exact(at::TensorOptions(testing::kGpu).dtype(at::kBFloat16));
}

// Keys that are cut into parts on a GPU, where queries are few or the last round of tiles is short; also as a range of
// a larger buffer, and where they cannot be cut evenly.
TEST(AttentionCuda, QueriesOverManyKeysAreNearTheFloat64Result) {
  FLASHBLOCK_NEED_CUDA();
  for (const auto dtype : {at::kFloat, at::kBFloat16})
    for (const auto& [queries, keys] : {std::tuple{1, 6144}, {32, 28080}, {780, 8192}, {37, 10007}, {1561, 9360}}) {
      const Inputs all = inputs(queries, keys + 100, 12, 128, at::TensorOptions(testing::kGpu).dtype(dtype));
      const auto range = [&](const at::Tensor& x) { return x.narrow(0, 0, 1).narrow(1, 60, keys); };
      const Inputs x{all.q.narrow(0, 0, 1), range(all.k), range(all.v)};
      const AttentionState expected = exact(x), actual = attention_with_lse(x.q, x.k, x.v);
      EXPECT_TENSORS_NEAR_IN_NORM(actual.output, expected.output, 2 * tolerance(dtype)) << queries << 'x' << keys;
      EXPECT_TENSORS_CLOSE(actual.lse, expected.lse, 0, kLseTolerance) << queries << 'x' << keys;
      EXPECT_TRUE(actual.output.is_contiguous());
    }
}

// Few queries of several texts, as in the decoding of text: blocks and pairs of blocks with four query heads to a head.
TEST(AttentionCuda, FewQueriesOfTextsAreNearTheFloat64Result) {
  FLASHBLOCK_NEED_CUDA();
  const auto options = at::TensorOptions(testing::kGpu).dtype(at::kBFloat16);
  for (const auto& [queries, keys] :
       {std::tuple{4, 1}, {16, 4}, {16, 1028}, {32, 5003}, {64, 777}, {128, 2048}, {256, 999}, {16, 40000}}) {
    const Inputs x = inputs(queries, keys, 8, 128, options);
    const AttentionState expected = exact(x), actual = attention_with_lse(x.q, x.k, x.v);
    EXPECT_TENSORS_NEAR_IN_NORM(actual.output, expected.output, tolerance(at::kBFloat16)) << queries << 'x' << keys;
    EXPECT_TENSORS_CLOSE(actual.lse, expected.lse, 0, kLseTolerance) << queries << 'x' << keys;
    EXPECT_TRUE(actual.output.is_contiguous());
  }
  const Inputs hard = inputs(16, 1028, 8, 128, options, 30);
  EXPECT_TENSORS_NEAR_IN_NORM(attention(hard.q, hard.k, hard.v), exact(hard).output, tolerance(at::kBFloat16));
}

void expect_other_forms_equal_several_calls(at::TensorOptions options, double bound) {
  for (const auto& [queries, late, keys, hidden] : {std::tuple{32, 16, 300, 4},
                                                    {32, 16, 8, 4},
                                                    {64, 32, 1500, 8},
                                                    {16, 16, 70, 4},
                                                    {40, 0, 130, 66},
                                                    {256, 128, 400, 32}}) {
    const Inputs x = inputs(queries, keys, 4, 128, options);
    const at::Tensor actual = attention_with_hidden_keys(x.q, x.k, x.v, {late, hidden});
    const at::Tensor all = exact(x).output, seen = exact(other_keys(x, hidden)).output;
    EXPECT_TENSORS_NEAR_IN_NORM(actual, at::cat({all.narrow(1, 0, late), seen.narrow(1, late, queries - late)}, 1),
                                bound)
        << queries << 'x' << keys;
    const Inputs external = first_keys(x, hidden), internal = other_keys(x, hidden);
    const AttentionState state = attention_with_lse(external.q, external.k, external.v);
    EXPECT_TENSORS_NEAR_IN_NORM(merged_attention(state, internal.q, internal.k, internal.v), all, bound) << queries;
    EXPECT_TENSORS_NEAR_IN_NORM(merged_attention({}, x.q, x.k, x.v), all, bound) << queries;
    EXPECT_TENSORS_IDENTICAL(state.output, attention(external.q, external.k, external.v));
  }
}

TEST(Attention, HiddenKeysAndMergesEqualSeveralCalls) { expect_other_forms_equal_several_calls(at::kFloat, 2e-6); }
TEST(AttentionCuda, HiddenKeysAndMergesEqualSeveralCalls) {
  FLASHBLOCK_NEED_CUDA();
  expect_other_forms_equal_several_calls(at::TensorOptions(testing::kGpu).dtype(at::kBFloat16), 6e-3);
  expect_other_forms_equal_several_calls(at::TensorOptions(testing::kGpu).dtype(at::kFloat), 2e-6);
}

void expect_masked_heads_get_their_attention(at::TensorOptions options) {
  const at::ScalarType dtype = c10::typeMetaToScalarType(options.dtype());
  for (const int64_t width : {64, 128}) {
    const Inputs x = inputs(37, 151, 3, width, options);
    const AttentionState expected = exact(x);
    for (const auto& mask :
         {at::tensor({1, 0, 1}), at::tensor({0, 1, 0}), at::tensor({1, 1, 1}), at::tensor({0, 0, 0})}) {
      const AttentionState actual = attention_of_masked_heads(x.q, x.k, x.v, mask.to(x.q.device()) > 0);
      for (int64_t head = 0; head < 3; ++head) {
        if (mask[head].item<int64_t>() == 0) continue;
        EXPECT_TENSORS_NEAR_IN_NORM(actual.output.select(2, head), expected.output.select(2, head), tolerance(dtype));
        EXPECT_TENSORS_CLOSE(actual.lse.select(1, head), expected.lse.select(1, head), 0, kLseTolerance);
      }
    }
  }
}
TEST(Attention, MaskedHeadsGetTheirAttention) {
  expect_masked_heads_get_their_attention(at::kFloat);
  expect_masked_heads_get_their_attention(at::kBFloat16);
}
TEST(AttentionCuda, MaskedHeadsGetTheirAttention) {
  FLASHBLOCK_NEED_CUDA();
  expect_masked_heads_get_their_attention(at::TensorOptions(testing::kGpu).dtype(at::kFloat));
  expect_masked_heads_get_their_attention(at::TensorOptions(testing::kGpu).dtype(at::kBFloat16));
}

TEST(Attention, TakesRangesOfALargerBufferAndSlicesOfAJoinedProjection) {
  const Inputs x = inputs(20, 60, 2, 64, at::kFloat);
  const at::Tensor joined = at::cat({x.q.flatten(-2), x.q.flatten(-2)}, -1);
  const at::Tensor slice = joined.narrow(-1, 0, 128).unflatten(-1, {2, 64});
  const Inputs part = first_keys(x, 37);
  EXPECT_TENSORS_NEAR_IN_NORM(attention(slice, part.k, part.v), exact(part).output, tolerance(at::kFloat));
}

TEST(Merge, EqualsAttentionOverAllKeysInFloat32) { expect_merge_equals_attention_over_all(at::kFloat); }
TEST(Merge, EqualsAttentionOverAllKeysInBfloat16) { expect_merge_equals_attention_over_all(at::kBFloat16); }
TEST(MergeCuda, EqualsAttentionOverAllKeysInFloat32) {
  FLASHBLOCK_NEED_CUDA();
  expect_merge_equals_attention_over_all(at::TensorOptions(testing::kGpu).dtype(at::kFloat));
}
TEST(MergeCuda, EqualsAttentionOverAllKeysInBfloat16) {
  FLASHBLOCK_NEED_CUDA();
  expect_merge_equals_attention_over_all(at::TensorOptions(testing::kGpu).dtype(at::kBFloat16));
}

TEST(Merge, ExtremeScoresSurviveInFloat32) { expect_extreme_scores_survive(at::kFloat); }
TEST(Merge, ExtremeScoresSurviveInBfloat16) { expect_extreme_scores_survive(at::kBFloat16); }
TEST(MergeCuda, ExtremeScoresSurviveInBfloat16) {
  FLASHBLOCK_NEED_CUDA();
  expect_extreme_scores_survive(at::TensorOptions(testing::kGpu).dtype(at::kBFloat16));
}

TEST(Merge, IsAssociativeOverThreeKeySets) {
  const Inputs x = inputs(16, 90, 2, 64, at::kFloat);
  const auto state = [&](int64_t from, int64_t count) {
    return attention_with_lse(x.q, x.k.narrow(1, from, count), x.v.narrow(1, from, count));
  };
  const AttentionState left = merge(merge(state(0, 20), state(20, 30)), state(50, 40));
  const AttentionState right = merge(state(0, 20), merge(state(20, 30), state(50, 40)));
  EXPECT_TENSORS_NEAR_IN_NORM(left.output, right.output, 1e-6);
  EXPECT_TENSORS_NEAR_IN_NORM(left.output, exact(x).output, 2e-6);
}

// The identity holds for a state that is not there and for rows whose keys all weigh nothing.
void expect_empty_states_are_identity(at::TensorOptions options) {
  const Inputs x = inputs(16, 30, 2, 64, options);
  const auto state = [&] { return attention_with_lse(x.q, x.k, x.v); };
  const AttentionState expected = state();
  const AttentionState nothing{at::zeros_like(expected.output),
                               at::full_like(expected.lse, -std::numeric_limits<double>::infinity())};
  for (const AttentionState& empty : {AttentionState{}, nothing}) {
    EXPECT_TENSORS_IDENTICAL(merge(empty, state()).output, expected.output);
    EXPECT_TENSORS_IDENTICAL(merge(empty, state()).lse, expected.lse);
    const AttentionState copy{empty.output.defined() ? empty.output.clone() : empty.output, empty.lse};
    EXPECT_TENSORS_IDENTICAL(merge(state(), copy).output, expected.output);
  }
  const AttentionState both = merge(nothing, {nothing.output.clone(), nothing.lse.clone()});
  EXPECT_TENSORS_IDENTICAL(both.output, nothing.output);
  EXPECT_TENSORS_IDENTICAL(both.lse, nothing.lse);
}

TEST(Merge, EmptyStatesAreIdentity) {
  expect_empty_states_are_identity(at::kFloat);
  expect_empty_states_are_identity(at::kBFloat16);
}
TEST(MergeCuda, EmptyStatesAreIdentity) {
  FLASHBLOCK_NEED_CUDA();
  expect_empty_states_are_identity(at::TensorOptions(testing::kGpu).dtype(at::kFloat));
  expect_empty_states_are_identity(at::TensorOptions(testing::kGpu).dtype(at::kBFloat16));
}

TEST(Merge, LeavesTheExternalStateAsItWas) {
  const Inputs x = inputs(16, 30, 2, 64, at::kFloat);
  const AttentionState external = attention_with_lse(x.q, x.k, x.v);
  const at::Tensor output = external.output.clone(), lse = external.lse.clone();
  merge(external, attention_with_lse(x.q, x.k.flip(3), x.v.flip(1)));
  EXPECT_TENSORS_IDENTICAL(external.output, output);
  EXPECT_TENSORS_IDENTICAL(external.lse, lse);
}

}  // namespace
}  // namespace flashblock
