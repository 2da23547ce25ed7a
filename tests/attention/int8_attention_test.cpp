// Attention in 8 bits: its arithmetic by hand and against float64, and the kernel against LibTorch's operators.
#include "attention/int8_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "attention/attention.h"
#include "attention/block_attention.h"
#include "tests/support/cuda.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

struct Inputs {
  at::Tensor q, k, v;
};

/// Normal numbers, the same on every device. `offset`: of all keys and of all values, by head and channel.
Inputs inputs(int64_t batch, int64_t queries, int64_t keys, int64_t heads, int64_t width, double offset = 0) {
  at::manual_seed(3);
  const auto normal = [&](int64_t tokens) { return at::randn({batch, tokens, heads, width}); };
  Inputs x{normal(queries), normal(keys), normal(keys)};
  x.k += offset * at::randn({1, 1, heads, width});
  x.v += offset * at::randn({1, 1, heads, width});
  return x;
}

Inputs to(const Inputs& x, const at::TensorOptions& options) {
  return {x.q.to(options), x.k.to(options), x.v.to(options)};
}

AttentionState exact(const Inputs& x) {
  return attention_by_matrix_products(x.q.to(at::kDouble), x.k.to(at::kDouble), x.v.to(at::kDouble));
}

AttentionState in_8_bits(const Inputs& x) { return int8_attention_with_lse(x.q, x.k, x.v); }

// Weights and values each err by 2^-4 / sqrt(12) of themselves, about, and so does their product by 3.7e-2: of normal
// numbers nothing else is left in the output. The score of two rows in 8 bits errs by 1e-2 of its spread.
TEST(Int8Attention, IsCloseToAttention) {
  for (const int64_t width : {64, 128}) {
    const Inputs x = inputs(2, 50, 700, 3, width);
    const AttentionState state = in_8_bits(x), expected = exact(x);
    EXPECT_TENSORS_NEAR_IN_NORM(state.output, expected.output, 5e-2);
    EXPECT_TENSORS_CLOSE(state.lse, expected.lse, 0, 2e-2);
    EXPECT_TRUE(state.output.is_contiguous());
  }
}

// What all keys or all values have in common is exact: the error is that of the differences.
TEST(Int8Attention, OffsetsCostNothing) {
  const Inputs plain = inputs(1, 40, 500, 2, 64), moved = inputs(1, 40, 500, 2, 64, 5);
  const AttentionState expected = exact(moved);
  const double without = (in_8_bits(plain).output - exact(plain).output).norm().item<double>();
  const double with = (in_8_bits(moved).output - expected.output).norm().item<double>();
  EXPECT_LT(with, 1.3 * without);
  EXPECT_TENSORS_CLOSE(in_8_bits(moved).lse, expected.lse, 0, 2e-2);
}

TEST(Int8Attention, EqualValuesAreTheOutput) {
  Inputs x = inputs(1, 5, 200, 2, 64);
  x.v = at::randn({1, 1, 2, 64}).expand({1, 200, 2, 64});
  EXPECT_TENSORS_CLOSE(in_8_bits(x).output, x.v.narrow(1, 0, 5), 1e-6, 1e-6);
}

// A query of zeros weighs all keys alike, whatever they are. A quarter of the values is 1, the others 0: all is exact.
TEST(Int8Attention, WeighsByHand) {
  Inputs x = inputs(1, 2, 388, 1, 64);
  x.q.zero_();
  x.v.zero_();
  x.v.slice(1, 0, 388, 4).fill_(1);
  const AttentionState state = in_8_bits(x);
  EXPECT_TENSORS_CLOSE(state.output, at::full_like(state.output, 0.25), 1e-6, 0);
  EXPECT_TENSORS_CLOSE(state.lse, at::full_like(state.lse, std::log(388.0)), 0, 1e-5);
}

TEST(Int8Attention, NanStaysNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Inputs x = inputs(1, 3, 20, 1, 64);
  x.q[0][1][0][5] = nan;
  const at::Tensor of_query = in_8_bits(x).output[0];
  EXPECT_TRUE(of_query[1].isnan().all().item<bool>());
  EXPECT_FALSE(of_query[0].isnan().any().item<bool>() || of_query[2].isnan().any().item<bool>());
  for (const bool value : {false, true}) {
    Inputs y = inputs(1, 3, 20, 1, 64);
    (value ? y.v : y.k)[0][7][0][5] = nan;
    EXPECT_TRUE(in_8_bits(y).output.select(-1, 5).isnan().all().item<bool>());
  }
}

// --- Within attention to a frame block --------------------------------------------------------------------

at::Tensor attend_block(const AttentionConfig& config, const Inputs& past, const Inputs& block) {
  const int64_t tokens = block.k.size(1);
  KvCache kv({tokens, 1, 2, 0}, 1, block.k.size(2), block.k.size(3), at::kCPU, at::kFloat);
  const auto stage = [&](const Inputs& x) {
    const KeyRange staged = kv.stage(1);
    staged.keys.copy_(x.k);
    staged.values.copy_(x.v);
  };
  stage(past);
  kv.commit();
  stage(block);
  LayerExternal external;
  return block_attention(block.q, kv, external, config, Pass::denoise(0));
}

TEST(Int8Attention, EachSideHasItsPrecision) {
  const Inputs past = inputs(1, 30, 30, 2, 64), block{past.k * 0.7, past.q * 0.9, past.v.flip(1)};
  for (const bool internal : {false, true})
    for (const bool external : {false, true}) {
      AttentionConfig config;
      if (internal) config.internal = AttentionPrecision::kInt8;
      if (external) config.external = AttentionPrecision::kInt8;
      const auto side = [&](const Inputs& x, AttentionPrecision precision) {
        return attention_with_lse(block.q, x.k, x.v, precision);
      };
      const at::Tensor expected = merge(side(past, config.external), side(block, config.internal)).output;
      EXPECT_TENSORS_IDENTICAL(attend_block(config, past, block), expected) << internal << external;
    }
  EXPECT_GT(
      testing::relative_norm_error(attention_with_lse(past.q, past.k, past.v, AttentionPrecision::kInt8).output,
                                   attention_with_lse(past.q, past.k, past.v, AttentionPrecision::kNative).output),
      1e-3);
}

TEST(Int8Attention, PrecisionHasNames) {
  for (const auto precision : {AttentionPrecision::kNative, AttentionPrecision::kInt8})
    EXPECT_EQ(parse_attention_precision(to_string(precision)), precision);
}

// --- On a GPU, against LibTorch's operators -------------------------------------------------------------

const at::TensorOptions kOnGpu = at::TensorOptions(testing::kGpu).dtype(at::kBFloat16);

// The same numbers are multiplied; the matrix units truncate sums of e4m3 products.
void expect_like_operators(const Inputs& x, double bound) {
  const AttentionState state = in_8_bits(x), expected = int8_attention_by_operators(x.q, x.k, x.v);
  EXPECT_TENSORS_NEAR_IN_NORM(state.output, expected.output, bound) << x.q.sizes() << x.k.sizes();
  EXPECT_TENSORS_CLOSE(state.lse, expected.lse, 0, 2e-3) << x.q.sizes() << x.k.sizes();
  const AttentionState again = in_8_bits(x);
  EXPECT_TENSORS_IDENTICAL(again.output, state.output);
  EXPECT_TENSORS_IDENTICAL(again.lse, state.lse);
}

TEST(Int8AttentionCuda, IsLikeTheReference) {
  FLASHBLOCK_NEED_CUDA();
  for (const auto& [queries, keys] :
       {std::pair{1, 1}, {3, 95}, {64, 96}, {65, 97}, {193, 192}, {300, 1561}, {1000, 700}})
    for (const double offset : {0.0, 2.0})
      expect_like_operators(to(inputs(2, queries, keys, 3, 128, offset), kOnGpu), 3e-2);
}

TEST(Int8AttentionCuda, IsLikeTheReferenceAtPublishedSizes) {
  FLASHBLOCK_NEED_CUDA();
  for (const int64_t keys : {4680, 28080}) {
    const Inputs x = to(inputs(1, 4680, keys, 12, 128, 0.5), kOnGpu);
    expect_like_operators(x, 1e-2);
    const AttentionState exact = attention_with_lse(x.q, x.k, x.v), state = in_8_bits(x);
    EXPECT_TENSORS_NEAR_IN_NORM(state.output, exact.output, 1e-2);
    EXPECT_TENSORS_CLOSE(state.lse, exact.lse, 0, 2e-2);
  }
}

// Many parts of few tiles: keys of one query tile are divided among all multiprocessors.
TEST(Int8AttentionCuda, DividesManyKeysOfFewQueries) {
  FLASHBLOCK_NEED_CUDA();
  expect_like_operators(to(inputs(1, 130, 60000, 1, 128, 1), kOnGpu), 1e-2);
}

TEST(Int8AttentionCuda, TakesViews) {
  FLASHBLOCK_NEED_CUDA();
  const Inputs all = to(inputs(1, 400, 900, 4, 128), kOnGpu);
  const Inputs views{all.q.narrow(1, 100, 200).narrow(2, 1, 2), all.k.narrow(1, 33, 500).narrow(2, 1, 2),
                     all.v.narrow(1, 33, 500).narrow(2, 1, 2)};
  const Inputs copies{views.q.contiguous(), views.k.contiguous(), views.v.contiguous()};
  EXPECT_TENSORS_IDENTICAL(in_8_bits(views).output, in_8_bits(copies).output);
  EXPECT_TENSORS_IDENTICAL(in_8_bits(views).lse, in_8_bits(copies).lse);
}

// Where scores are sharp, the largest of a row grows from block to block of keys.
TEST(Int8AttentionCuda, FollowsGrowingScores) {
  FLASHBLOCK_NEED_CUDA();
  Inputs x = inputs(1, 500, 4000, 2, 128);
  x.q *= at::linspace(1, 12, 500).view({1, 500, 1, 1});
  x.k *= at::linspace(0.1, 2, 4000).view({1, 4000, 1, 1});
  const Inputs on_gpu = to(x, kOnGpu);
  const AttentionState state = in_8_bits(on_gpu);
  const AttentionState expected = int8_attention_by_operators(on_gpu.q, on_gpu.k, on_gpu.v);
  EXPECT_TENSORS_NEAR_IN_NORM(state.output, expected.output, 2e-2);
  EXPECT_TENSORS_CLOSE(state.lse, expected.lse, 0, 5e-3);
}

TEST(Int8AttentionCuda, NanStaysNan) {
  FLASHBLOCK_NEED_CUDA();
  Inputs x = to(inputs(1, 300, 400, 1, 128), kOnGpu);
  x.q[0][1][0][5] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor output = in_8_bits(x).output[0];
  EXPECT_TRUE(output[1].isnan().all().item<bool>());
  EXPECT_EQ(output.isnan().sum().item<int64_t>(), 128);
}

TEST(Int8AttentionCuda, OtherWidthsGoThroughLibTorch) {
  FLASHBLOCK_NEED_CUDA();
  const Inputs x = to(inputs(1, 100, 300, 2, 64), kOnGpu);
  EXPECT_FALSE(has_int8_attention(x.q.device(), at::kBFloat16, 64));
  EXPECT_TENSORS_NEAR_IN_NORM(in_8_bits(x).output, exact(x).output, 5e-2);
}

}  // namespace
}  // namespace flashblock
