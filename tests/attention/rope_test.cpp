// Rotary embedding: published check values, and the float64 rotation of the definition.
#include "attention/rope.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

float at_pair(const at::Tensor& table, int64_t token, int64_t pair) { return table[token][pair].item<float>(); }

// Source: wan-reference, check values of the RoPE table, head width 128.
TEST(Rope, TableHoldsThePublishedValues) {
  const RopeTable table(128, 8, 6, 8, at::kCPU);
  const Rotation frame3 = table.rotation(3, 1);
  EXPECT_NEAR(at_pair(frame3.cosine, 0, 0), -0.9899924966, 1e-7);
  EXPECT_NEAR(at_pair(frame3.sine, 0, 0), 0.1411200081, 1e-7);
  EXPECT_NEAR(at_pair(frame3.cosine, 0, 1), std::cos(1.973799673973), 1e-7);
  EXPECT_NEAR(at_pair(frame3.sine, 0, 21), std::sin(0.000455973324886), 1e-9);
  const int64_t row5 = 5 * 8, column7 = 7;
  EXPECT_NEAR(at_pair(frame3.cosine, row5, 22), 0.2836621855, 1e-7);
  EXPECT_NEAR(at_pair(frame3.sine, row5, 22), -0.9589242747, 1e-7);
  EXPECT_NEAR(at_pair(frame3.cosine, row5, 23), -0.9965457998, 1e-7);
  EXPECT_NEAR(at_pair(frame3.sine, row5, 23), -0.0830449816, 1e-7);
  EXPECT_NEAR(at_pair(frame3.cosine, column7, 43), 0.7539022543, 1e-7);
  EXPECT_NEAR(at_pair(frame3.sine, column7, 43), 0.6569865987, 1e-7);
}

// cos and sin of the definition in float64, for one token and pair of a head of `width`.
double angle(int64_t frame, int64_t row, int64_t column, int64_t pair, int64_t width) {
  const int64_t space = width / 2 / 3, time = width / 2 - 2 * space;
  const auto turn = [](int64_t position, int64_t k, int64_t pairs) {
    return double(position) / std::pow(10000.0, 2.0 * double(k) / double(2 * pairs));
  };
  if (pair < time) return turn(frame, pair, time);
  if (pair < time + space) return turn(row, pair - time, space);
  return turn(column, pair - time - space, space);
}

TEST(Rope, RotatesAdjacentPairsLikeTheFloat64Definition) {
  for (const int64_t width : {64, 128}) {
    const int64_t rows = 3, columns = 5, start = 90, frames = 2;
    const RopeTable table(width, 100, rows, columns, at::kCPU);
    const at::Tensor x = testing::formula_data("x", {1, frames * rows * columns, 2, width}, 1.7);
    const at::Tensor actual = apply_rope(x, table.rotation(start, frames));
    const at::Tensor wide = x.to(at::kDouble);
    at::Tensor expected = at::empty_like(wide);
    for (int64_t token = 0; token < x.size(1); ++token)
      for (int64_t pair = 0; pair < width / 2; ++pair) {
        const double turn =
            angle(start + token / (rows * columns), token / columns % rows, token % columns, pair, width);
        const at::Tensor in = wide.select(1, token), a = in.select(-1, 2 * pair), b = in.select(-1, 2 * pair + 1);
        expected.select(1, token).select(-1, 2 * pair).copy_(a * std::cos(turn) - b * std::sin(turn));
        expected.select(1, token).select(-1, 2 * pair + 1).copy_(a * std::sin(turn) + b * std::cos(turn));
      }
    EXPECT_TENSORS_CLOSE(actual, expected, 1e-6, 5e-7);
    const at::Tensor half = apply_rope(x.to(at::kBFloat16), table.rotation(start, frames));
    EXPECT_EQ(half.scalar_type(), at::kBFloat16);
    EXPECT_TENSORS_NEAR_IN_NORM(half, expected, 4e-3);
  }
}

TEST(Rope, ScoresDependOnDistanceAlone) {
  const RopeTable table(64, 60, 1, 1, at::kCPU);
  const at::Tensor q = testing::formula_data("q", {1, 1, 1, 64}, 1), k = testing::formula_data("k", {1, 1, 1, 64}, 1);
  const auto score = [&](int64_t at_q, int64_t at_k) {
    return (apply_rope(q, table.rotation(at_q, 1)) * apply_rope(k, table.rotation(at_k, 1))).sum().item<double>();
  };
  EXPECT_NEAR(score(7, 2), score(57, 52), 1e-5);
  EXPECT_GT(std::abs(score(7, 2) - score(9, 2)), 1e-3);
}

TEST(Rope, RefusesFramesPastTheEndOfTheVideo) {
  const RopeTable table(64, 6, 2, 2, at::kCPU);
  EXPECT_NO_THROW(table.rotation(3, 3));
  EXPECT_THROW(table.rotation(4, 3), ConfigError);
}

}  // namespace
}  // namespace flashblock
