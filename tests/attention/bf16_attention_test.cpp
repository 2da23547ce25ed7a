// Attention in bfloat16: the kernel for Hopper against float64.
#include "attention/bf16_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <limits>
#include <utility>

#include "attention/attention.h"
#include "tests/support/cuda.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

struct Inputs {
  at::Tensor q, k, v;
};

/// Normal numbers, the same on every device.
Inputs inputs(int64_t batch, int64_t queries, int64_t keys, int64_t heads, int64_t width = 128) {
  at::manual_seed(4);
  const auto normal = [&](int64_t tokens) { return at::randn({batch, tokens, heads, width}).to(at::kBFloat16); };
  return {normal(queries), normal(keys), normal(keys)};
}

Inputs on_gpu(const Inputs& x) { return {x.q.to(testing::kGpu), x.k.to(testing::kGpu), x.v.to(testing::kGpu)}; }

AttentionState attend(const Inputs& x) { return bf16_attention_with_lse(x.q, x.k, x.v); }

// Weights and the output are rounded to 2^-9 of themselves. Every number that two sums could be mixed up by is another.
void expect_exact(const Inputs& x) {
  const AttentionState expected =
      attention_by_matrix_products(x.q.to(at::kDouble), x.k.to(at::kDouble), x.v.to(at::kDouble));
  const AttentionState state = attend(x);
  EXPECT_TENSORS_NEAR_IN_NORM(state.output, expected.output, 3e-3) << x.q.sizes() << x.k.sizes();
  EXPECT_TENSORS_CLOSE(state.lse, expected.lse, 0, 1e-4) << x.q.sizes() << x.k.sizes();
  EXPECT_TRUE(state.output.is_contiguous());
  const AttentionState again = attend(x);
  EXPECT_TENSORS_IDENTICAL(again.output, state.output);
  EXPECT_TENSORS_IDENTICAL(again.lse, state.lse);
}

TEST(Bf16Attention, OtherInputsGoToTheChosenKernel) {
  const Inputs x = inputs(2, 20, 70, 3);
  EXPECT_FALSE(has_bf16_attention(x.q.device(), at::kBFloat16, 128));
  EXPECT_TENSORS_IDENTICAL(attend(x).output, attention_with_lse(x.q, x.k, x.v).output);
}

TEST(Bf16AttentionCuda, IsExact) {
  FLASHBLOCK_NEED_CUDA();
  for (const auto& [queries, keys] :
       {std::pair{1, 1}, {3, 175}, {64, 176}, {65, 177}, {128, 352}, {129, 353}, {300, 1561}, {1000, 700}})
    expect_exact(on_gpu(inputs(2, queries, keys, 3)));
}

TEST(Bf16AttentionCuda, IsExactAtPublishedSizes) {
  FLASHBLOCK_NEED_CUDA();
  for (const int64_t keys : {4680, 28080}) {
    const Inputs x = on_gpu(inputs(1, 4680, keys, 12));
    const AttentionState state = attend(x), expected = attention_with_lse(x.q, x.k, x.v);
    EXPECT_TENSORS_NEAR_IN_NORM(state.output, expected.output, 4e-3);
    EXPECT_TENSORS_CLOSE(state.lse, expected.lse, 0, 1e-4);
    EXPECT_TENSORS_IDENTICAL(attend(x).output, state.output);
  }
}

// Many parts of few tiles: keys of one query tile are divided among all multiprocessors.
TEST(Bf16AttentionCuda, DividesManyKeysOfFewQueries) {
  FLASHBLOCK_NEED_CUDA();
  expect_exact(on_gpu(inputs(1, 130, 60000, 1)));
}

TEST(Bf16AttentionCuda, TakesViews) {
  FLASHBLOCK_NEED_CUDA();
  const Inputs all = on_gpu(inputs(2, 400, 900, 4));
  const auto view = [](const at::Tensor& x, int64_t first, int64_t tokens) {
    return x.narrow(1, first, tokens).narrow(2, 1, 2);
  };
  for (const int64_t batch : {1, 2}) {
    const auto part = [&](const at::Tensor& x, int64_t first, int64_t tokens) {
      return view(x.narrow(0, 2 - batch, batch), first, tokens);
    };
    expect_exact({part(all.q, 100, 200), part(all.k, 33, 500), part(all.v, 40, 500)});
  }
}

// Where scores are sharp, the largest of a row grows from block to block of keys.
TEST(Bf16AttentionCuda, FollowsGrowingScores) {
  FLASHBLOCK_NEED_CUDA();
  Inputs x = inputs(1, 500, 4000, 2);
  x.q *= at::linspace(1, 12, 500).view({1, 500, 1, 1}).to(at::kBFloat16);
  x.k *= at::linspace(0.1, 2, 4000).view({1, 4000, 1, 1}).to(at::kBFloat16);
  expect_exact(on_gpu(x));
}

TEST(Bf16AttentionCuda, NanStaysNan) {
  FLASHBLOCK_NEED_CUDA();
  Inputs x = on_gpu(inputs(1, 300, 400, 1));
  x.q[0][1][0][5] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor output = attend(x).output[0];
  EXPECT_TRUE(output[1].isnan().all().item<bool>());
  EXPECT_EQ(output.isnan().sum().item<int64_t>(), 128);
}

}  // namespace
}  // namespace flashblock
