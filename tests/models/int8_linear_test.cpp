// Linears in 8-bit integers: their arithmetic against float64 and by hand, and the kernels against LibTorch's
// operators.
#include "models/int8_linear.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "models/layers.h"
#include "tests/support/cuda.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::formula_data;

/// Of a published layer: [out, in].
constexpr std::pair<int64_t, int64_t> kPublished[] = {{4608, 1536}, {1536, 1536}, {8960, 1536}, {1536, 8960}};

Linear layer_of(int64_t out, int64_t in, const at::TensorOptions& options) {
  const double scale = 1.7 / std::sqrt(static_cast<double>(in));  // of uniform numbers
  return {formula_data("weight", {out, in}, scale).to(options), formula_data("bias", {out}, 0.5).to(options)};
}

at::Tensor float64_linear(const at::Tensor& x, const Linear& layer) {
  return at::linear(x.to(at::kDouble), layer.weight.to(at::kDouble), layer.bias.to(at::kDouble));
}

TEST(Int8Linear, RoundsRowsToTheirLargestValue) {
  const at::Tensor x = at::tensor({1.0, -2.0, 0.5, 0.0, 0.0, 0.0, 127.0, 2.5, -3.5}).to(at::kFloat).view({3, 3});
  const LinearInput rows = quantise_rows(x);
  const std::vector<int64_t> expected = {64, -127, 32, 0, 0, 0, 127, 2, -4};  // 63.5 and 31.75; halves to even
  EXPECT_TENSORS_IDENTICAL(rows.values, at::tensor(expected).to(at::kChar).view({3, 3}));
  EXPECT_TENSORS_CLOSE(rows.scales, at::tensor({2.0 / 127, 0.0, 1.0}).to(at::kFloat), 1e-9, 1e-7);
}

TEST(Int8Linear, MultipliesAndScalesByHand) {
  const Linear layer{at::tensor({1, -2, 3, 127, 0, -127}).to(at::kChar).view({2, 3}),
                     at::tensor({0.5, -1.0}).to(at::kFloat), at::tensor({0.25, 2.0}).to(at::kFloat)};
  const LinearInput x(at::tensor({10, 20, 30, -1, 1, 127}).to(at::kChar).view({2, 3}),
                      at::tensor({0.1, 4.0}).to(at::kFloat));
  // Sums: 10 - 40 + 90 = 60, 1270 - 3810 = -2540; -1 - 2 + 381 = 378, -127 - 16129 = -16256.
  const at::Tensor expected =
      at::tensor({60 * 0.1 * 0.25 + 0.5, -2540 * 0.1 * 2 - 1, 378 * 4 * 0.25 + 0.5, -16256 * 4 * 2.0 - 1});
  EXPECT_TENSORS_CLOSE(int8_linear(x, layer), expected.to(at::kFloat).view({2, 2}), 1e-6, 1e-6);
}

// More products than fit the exact integers of fp32, all of one sign.
TEST(Int8Linear, SumsAreExact) {
  const int64_t in = 8960;
  const Linear layer{at::full({8, in}, 127, at::kChar), at::zeros({8}), at::ones({8})};
  const LinearInput x(at::full({2, in}, 127, at::kChar), at::ones({2}));
  EXPECT_TENSORS_IDENTICAL(int8_linear(x, layer), at::full({2, 8}, 127.0f * 127.0f * float(in)));
}

TEST(Int8Linear, IsCloseToTheLinear) {
  for (const auto& [out, in] : {std::pair<int64_t, int64_t>{320, 320}, {1536, 1536}, {96, 8960}}) {
    const Linear layer = layer_of(out, in, at::kFloat);
    const at::Tensor x = formula_data("x", {2, 5, in}, 2);
    // Uniform in its range a value errs by 1/254 of its standard deviation, input and weight independently.
    EXPECT_TENSORS_NEAR_IN_NORM(linear(x, quantised(layer)), float64_linear(x, layer), 8e-3);
    at::manual_seed(1);
    const Linear normal{at::randn({out, in}) / std::sqrt(static_cast<double>(in)), layer.bias};
    const at::Tensor y = at::randn({2, 5, in});
    EXPECT_TENSORS_NEAR_IN_NORM(linear(y, quantised(normal)), float64_linear(y, normal), 2e-2);
  }
}

TEST(Int8Linear, FeedForwardIsCloseToTheLinears) {
  const Linear up = layer_of(512, 128, at::kFloat), down = layer_of(128, 512, at::kFloat);
  const at::Tensor x = formula_data("x", {1, 40, 128}, 2);
  EXPECT_TENSORS_NEAR_IN_NORM(feed_forward(x, quantised(up), quantised(down)), feed_forward(x, up, down), 2e-2);
}

TEST(Int8Linear, NanStaysNan) {
  at::Tensor x = formula_data("x", {3, 32}, 1);
  x[1][5] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor out = linear(x, quantised(layer_of(32, 32, at::kFloat)));
  EXPECT_TRUE(out[1].isnan().all().item<bool>());
  EXPECT_FALSE(out[0].isnan().any().item<bool>() || out[2].isnan().any().item<bool>());
}

TEST(Int8Linear, NormsPrepareTheInputOfALinear) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    at::Tensor x = formula_data("x", {1, 6, 64}, 2).to(dtype);
    const at::Tensor shift = formula_data("shift", {1, 3, 64}, 1).to(dtype), scale = shift + 1;
    const LinearInput rows = modulated_norm(x, shift, scale, 1e-6, LinearPrecision::kInt8);
    const LinearInput expected = quantise_rows(modulated_norm(x, shift, scale, 1e-6).values);
    EXPECT_TENSORS_IDENTICAL(rows.values, expected.values);
    EXPECT_TENSORS_IDENTICAL(rows.scales, expected.scales);
  }
}

// --- On a GPU, against LibTorch's operators -------------------------------------------------------------

at::TensorOptions on_gpu(at::ScalarType dtype) { return at::TensorOptions(testing::kGpu).dtype(dtype); }

void expect_quantised_alike(const LinearInput& actual, const LinearInput& expected, int most, double share) {
  const at::Tensor difference = at::abs(actual.values.to(at::kInt) - expected.values.to(at::kInt));
  EXPECT_LE(difference.max().item<int>(), most);
  EXPECT_LE((difference != 0).to(at::kFloat).mean().item<double>(), share);
}

TEST(Int8LinearCuda, QuantisesLikeTheReference) {
  FLASHBLOCK_NEED_CUDA();
  for (const int64_t width : {8, 320, 1536, 5120, 8960, 13824, 18432}) {
    const at::Tensor x = formula_data("x", {2, 9, width}, 3).to(on_gpu(at::kBFloat16));
    x[0][3].zero_();
    const LinearInput rows = quantise_rows(x), expected = plain::quantise_rows(x);
    EXPECT_TENSORS_IDENTICAL(rows.values, expected.values);
    EXPECT_TENSORS_IDENTICAL(rows.scales, expected.scales);
    const LinearInput gelu = quantise_rows(x, BeforeQuantising::kGelu);
    expect_quantised_alike(gelu, plain::quantise_rows(x, BeforeQuantising::kGelu), 1, 0.02);
  }
}

TEST(Int8LinearCuda, NanStaysNan) {
  FLASHBLOCK_NEED_CUDA();
  const at::Tensor x = formula_data("x", {3, 1536}, 1).to(on_gpu(at::kBFloat16));
  x[1][700] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor out = linear(x, quantised(layer_of(32, 1536, on_gpu(at::kBFloat16))));
  EXPECT_TRUE(out[1].isnan().all().item<bool>());
  EXPECT_FALSE(out[0].isnan().any().item<bool>() || out[2].isnan().any().item<bool>());
}

TEST(Int8LinearCuda, NormsQuantiseInTheSamePass) {
  FLASHBLOCK_NEED_CUDA();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
    for (const int64_t width : {320, 1536, 5120}) {
      const at::Tensor x = formula_data("x", {1, 37, width}, 2).to(on_gpu(dtype));
      const at::Tensor update = formula_data("update", {1, 37, width}, 1).to(on_gpu(dtype));
      const at::Tensor shift = formula_data("shift", {1, 1, width}, 1).to(on_gpu(dtype)), scale = shift + 1;
      const Linear affine{scale.flatten(), shift.flatten()};
      const auto expect_alike = [&](const auto& norm) {
        at::Tensor a = x.clone(), b = x.clone();
        const LinearInput rows = norm(a, LinearPrecision::kInt8);
        const LinearInput expected = plain::quantise_rows(norm(b, LinearPrecision::kNative).values);
        EXPECT_TENSORS_IDENTICAL(rows.values, expected.values);
        EXPECT_TENSORS_IDENTICAL(rows.scales, expected.scales);
        EXPECT_TENSORS_IDENTICAL(a, b);
      };
      expect_alike([&](at::Tensor& t, LinearPrecision p) { return modulated_norm(t, shift, scale, 1e-6, p); });
      expect_alike(
          [&](at::Tensor& t, LinearPrecision p) { return add_modulated_norm(t, update, shift, scale, 1e-6, p); });
      expect_alike(
          [&](at::Tensor& t, LinearPrecision p) { return add_gated_affine_norm(t, update, scale, affine, 1e-6, p); });
    }
}

// Published shapes, and sizes that fill no tile; 17 columns and 24 inputs are not the kernel's.
TEST(Int8LinearCuda, MultipliesLikeTheReference) {
  FLASHBLOCK_NEED_CUDA();
  if (!has_int8_linear(testing::kGpu, at::kBFloat16, 1536, 1536))
    GTEST_SKIP() << "no kernel for this GPU: the reference is used";
  std::vector<std::pair<int64_t, int64_t>> shapes(std::begin(kPublished), std::end(kPublished));
  for (const auto& shape : {std::pair<int64_t, int64_t>{32, 16}, {96, 48}, {160, 320}, {320, 1280}, {17, 24}})
    shapes.push_back(shape);
  for (const auto& [out, in] : shapes)
    for (const int64_t rows : {1, 130, 4680}) {
      const Linear layer = quantised(layer_of(out, in, on_gpu(at::kBFloat16)));
      const LinearInput x = plain::quantise_rows(formula_data("x", {1, rows, in}, 2).to(on_gpu(at::kBFloat16)));
      const at::Tensor actual = int8_linear(x, layer), expected = plain::int8_linear(x, layer);
      // Only roundings to bf16 that a last bit of fp32 decides may differ.
      EXPECT_TENSORS_NEAR_IN_NORM(actual, expected, 1e-4);
      EXPECT_LE((actual != expected).to(at::kFloat).mean().item<double>(), 1e-3) << rows << "x" << in << "x" << out;
    }
}

TEST(Int8LinearCuda, IsCloseToTheLinear) {
  FLASHBLOCK_NEED_CUDA();
  for (const auto& [out, in] : kPublished) {
    const Linear layer = layer_of(out, in, on_gpu(at::kBFloat16));
    const at::Tensor x = formula_data("x", {1, 300, in}, 2).to(on_gpu(at::kBFloat16));
    EXPECT_TENSORS_NEAR_IN_NORM(linear(x, quantised(layer)), float64_linear(x, layer), 8e-3);
  }
}

}  // namespace
}  // namespace flashblock
