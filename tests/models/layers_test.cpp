// The fused operators of a layer against the same by LibTorch's operators, and those against float64.
#include "models/layers.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "models/layers_plain.h"
#include "tests/support/cuda.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::formula_data;

constexpr double kEps = 1e-6;

at::TensorOptions on(at::Device device, at::ScalarType dtype) { return at::TensorOptions(device).dtype(dtype); }

// Sums run in another order; those of more than 1536 values have a bound that grows with their number, which is needed
// where they run one by one (without vector instructions). In bf16 single values may round the other way: 2^-8 of them
// relative, few of them.
struct Bounds {
  double element, norm;
};
Bounds bounds(const at::TensorOptions& options, int64_t width) {
  const double longer = std::max(1.0, double(width) / 1536);
  return options.dtype() == at::kFloat ? Bounds{2e-6 * longer, 1e-6} : Bounds{1.6e-2, 1e-3};
}

void expect_reference(const at::Tensor& fused, const at::Tensor& plain, const at::TensorOptions& options) {
  EXPECT_EQ(fused.scalar_type(), plain.scalar_type());
  const Bounds bound = bounds(options, fused.size(2) * (fused.dim() == 4 ? fused.size(3) : 1));
  EXPECT_TENSORS_CLOSE(fused, plain, bound.element, bound.element);
  EXPECT_TENSORS_NEAR_IN_NORM(fused, plain, bound.norm);
}

// Widths of published models, and of each way in which the CUDA kernels hold a row; the rows are no multiple of theirs.
constexpr int64_t kWidths[] = {8, 64, 320, 1000, 1536, 1800, 3072, 4096, 5120, 8192};

void expect_norms_like_reference(at::TensorOptions options) {
  for (const int64_t width : kWidths) {
    const at::Tensor x = (formula_data("x", {2, 9, width}, 3) + 0.5).to(options);
    const at::Tensor shift = formula_data("shift", {1, 1, width}, 1).to(options);
    const at::Tensor scale = (formula_data("scale", {1, 1, width}, 0.5) + 1).to(options);
    expect_reference(modulated_norm(x, shift, scale, kEps).values, plain::modulated_norm(x, shift, scale, kEps),
                     options);
    const at::Tensor weight = scale.flatten();
    expect_reference(rms_norm(x, weight, kEps), plain::rms_norm(x, weight, kEps), options);
  }
}

// A slot of a larger cache, whose other tokens must stay as they are.
constexpr int64_t kBefore = 3, kAfter = 4;

void expect_split_like_reference(at::TensorOptions options, int64_t heads, int64_t head_dim, int64_t parts) {
  const int64_t width = heads * head_dim, tokens = 3 * 3 * 5;
  const Rotation rotation = RopeTable(head_dim, 40, 3, 5, options.device()).rotation(30, 3);
  const at::Tensor joined = formula_data("x", {2, tokens, parts * width}, 2).to(options);
  const at::Tensor weight = (formula_data("weight", {width}, 0.2) + 1).to(options);
  std::vector<at::Tensor> fused, references;
  std::vector<ProjectionPart> split;
  for (int64_t i = 0; i < parts; ++i) {
    fused.push_back(at::full({2, kBefore + tokens + kAfter, heads, head_dim}, 9.0, options));
    references.push_back(fused.back().clone());
    const bool values = i == parts - 1 && parts > 1;
    split.push_back({fused.back().narrow(1, kBefore, tokens), values ? at::Tensor() : weight * double(i + 1)});
    const at::Tensor x = joined.narrow(-1, i * width, width), reference = references.back().narrow(1, kBefore, tokens);
    if (values) {
      reference.copy_(x.unflatten(-1, {heads, head_dim}));
    } else {
      plain::rms_norm_rope_out(reference, x, split.back().norm, kEps, rotation);
    }
  }
  split_projection(joined, split, kEps, rotation);
  for (size_t i = 0; i < fused.size(); ++i) {
    expect_reference(fused[i], references[i], options);
    if (!split[i].norm.defined()) {
      EXPECT_TENSORS_IDENTICAL(fused[i], references[i]);
    }
    EXPECT_TENSORS_IDENTICAL(fused[i].narrow(1, 0, kBefore), references[i].narrow(1, 0, kBefore));
    EXPECT_TENSORS_IDENTICAL(fused[i].narrow(1, kBefore + tokens, kAfter),
                             references[i].narrow(1, kBefore + tokens, kAfter));
  }
}

// Also heads that no step of a warp is a multiple of, and ones that no kernel takes.
void expect_splits_like_reference(at::TensorOptions options) {
  const std::pair<int64_t, int64_t> heads_of_dims[] = {{1, 64},   {5, 64},   {5, 72},  {6, 20},
                                                       {12, 128}, {24, 128}, {40, 128}};
  for (const auto& [heads, head_dim] : heads_of_dims)
    for (const int64_t parts : {1, 2, 3}) expect_split_like_reference(options, heads, head_dim, parts);
}

void expect_gated_sum_like_reference(at::TensorOptions options) {
  for (const int64_t width : kWidths) {
    at::Tensor fused = formula_data("x", {2, 9, width}, 3).to(options), reference = fused.clone();
    const at::Tensor update = formula_data("update", {2, 9, width}, 3).to(options);
    const at::Tensor gate = formula_data("gate", {1, 1, width}, 1).to(options);
    add_gated_(fused, update.clone(), gate);
    plain::add_gated_(reference, update.clone(), gate);
    if (options.dtype() == at::kBFloat16) {
      EXPECT_TENSORS_IDENTICAL(fused, reference);
    }
    expect_reference(fused, reference, options);
  }
}

// Both the sum and its norm, as if one operator came after the other.
void expect_sums_with_norms_like_reference(at::TensorOptions options) {
  for (const int64_t width : kWidths) {
    const at::Tensor x = (formula_data("x", {2, 9, width}, 3) + 0.5).to(options);
    const at::Tensor update = formula_data("update", {2, 9, width}, 3).to(options);
    const at::Tensor gate = formula_data("gate", {1, 1, width}, 1).to(options);
    const at::Tensor shift = formula_data("shift", {1, 1, width}, 1).to(options);
    const at::Tensor scale = (formula_data("scale", {1, 1, width}, 0.5) + 1).to(options);

    at::Tensor fused = x.clone(), reference = x.clone();
    const at::Tensor modulated = add_modulated_norm(fused, update, shift, scale, kEps).values;
    EXPECT_TENSORS_IDENTICAL(fused, reference.add_(update));
    expect_reference(modulated, plain::modulated_norm(reference, shift, scale, kEps), options);

    fused = x.clone(), reference = x.clone();
    const Linear affine{scale.flatten(), shift.flatten()};
    const at::Tensor normed = add_gated_affine_norm(fused, update.clone(), gate, affine, kEps).values;
    plain::add_gated_(reference, update.clone(), gate);
    expect_reference(fused, reference, options);
    expect_reference(normed, at::layer_norm(reference, {width}, affine.weight, affine.bias, kEps), options);
  }
}

void expect_gelu_near_float64(at::ScalarType dtype) {
  const at::Tensor x = at::cat({at::linspace(-12, 12, 4001), at::full({3}, -90.0), at::full({3}, 90.0)}).to(dtype);
  const at::Tensor expected = at::gelu(x.to(at::kDouble), "tanh");
  EXPECT_TENSORS_CLOSE(gelu_(x.clone()), expected, dtype == at::kFloat ? 1e-5 : 4e-3,
                       dtype == at::kFloat ? 1e-6 : 1e-3);
}

TEST(Layers, NormsAreLikeTheReference) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) expect_norms_like_reference(on(at::kCPU, dtype));
}
TEST(Layers, SplitProjectionIsLikeTheReference) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) expect_splits_like_reference(on(at::kCPU, dtype));
}
TEST(Layers, GatedSumIsLikeTheReference) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) expect_gated_sum_like_reference(on(at::kCPU, dtype));
}
TEST(Layers, SumsWithNormsAreLikeTheReference) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) expect_sums_with_norms_like_reference(on(at::kCPU, dtype));
}
TEST(Layers, GeluIsNearFloat64) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) expect_gelu_near_float64(dtype);
}

TEST(LayersCuda, NormsAreLikeTheReference) {
  FLASHBLOCK_NEED_CUDA();
  for (const auto dtype : {at::kFloat, at::kBFloat16}) expect_norms_like_reference(on(testing::kGpu, dtype));
}
TEST(LayersCuda, SplitProjectionIsLikeTheReference) {
  FLASHBLOCK_NEED_CUDA();
  for (const auto dtype : {at::kFloat, at::kBFloat16}) expect_splits_like_reference(on(testing::kGpu, dtype));
}
TEST(LayersCuda, GatedSumIsLikeTheReference) {
  FLASHBLOCK_NEED_CUDA();
  for (const auto dtype : {at::kFloat, at::kBFloat16}) expect_gated_sum_like_reference(on(testing::kGpu, dtype));
}

TEST(LayersCuda, SumsWithNormsAreLikeTheReference) {
  FLASHBLOCK_NEED_CUDA();
  for (const auto dtype : {at::kFloat, at::kBFloat16}) expect_sums_with_norms_like_reference(on(testing::kGpu, dtype));
}

void expect_linear_gelu_like_reference(at::TensorOptions options) {
  const Linear layer{formula_data("w", {328, 320}, 0.1).to(options), formula_data("b", {328}, 0.5).to(options)};
  const at::Tensor x = formula_data("x", {2, 9, 320}, 2).to(options);
  const at::Tensor actual = linear_gelu(x, layer), reference = plain::gelu_(linear(x, layer));
  EXPECT_EQ(actual.scalar_type(), reference.scalar_type());
  const at::Tensor sums = at::linear(x.to(at::kDouble), layer.weight.to(at::kDouble), layer.bias.to(at::kDouble));
  const at::Tensor expected = at::gelu(sums, "tanh");
  const bool half = options.dtype() == at::kBFloat16;
  EXPECT_TENSORS_NEAR_IN_NORM(actual, expected, half ? 4e-3 : 2e-6);
  EXPECT_TENSORS_NEAR_IN_NORM(actual, reference, half ? 4e-3 : 2e-6);
}

// Between -4 and -2 the tanh form and the one with erf are 2 % apart: how much of the way to the latter a result is,
// whatever it is rounded by.
void expect_linear_gelu_is_the_tanh_form(at::TensorOptions options) {
  const Linear identity{at::eye(64, options), at::zeros({64}, options)};
  const at::Tensor x = at::linspace(-4, -2, 32 * 64, options).view({1, 32, 64}), wide = x.to(at::kDouble);
  const at::Tensor tanh_form = at::gelu(wide, "tanh"), erf_form = at::gelu(wide, "none");
  const at::Tensor way = erf_form - tanh_form;
  const at::Tensor part = ((linear_gelu(x, identity).to(at::kDouble) - tanh_form) * way).sum() / (way * way).sum();
  EXPECT_NEAR(part.item<double>(), 0, 0.3);
}

TEST(Layers, LinearWithGeluIsLikeTheReference) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    expect_linear_gelu_like_reference(on(at::kCPU, dtype));
    expect_linear_gelu_is_the_tanh_form(on(at::kCPU, dtype));
  }
}
TEST(LayersCuda, LinearWithGeluIsLikeTheReference) {
  FLASHBLOCK_NEED_CUDA();
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    expect_linear_gelu_like_reference(on(testing::kGpu, dtype));
    expect_linear_gelu_is_the_tanh_form(on(testing::kGpu, dtype));
  }
}

TEST(Layers, LinearIsNearFloat64) {
  const Linear layer{formula_data("w", {96, 320}, 0.1), formula_data("b", {96}, 0.1)};
  const at::Tensor x = formula_data("x", {2, 9, 320}, 1);
  const at::Tensor expected = at::linear(x.to(at::kDouble), layer.weight.to(at::kDouble), layer.bias.to(at::kDouble));
  EXPECT_TENSORS_NEAR_IN_NORM(linear(x, layer), expected, 1e-6);
  const Linear half{layer.weight.to(at::kBFloat16), layer.bias.to(at::kBFloat16)};
  EXPECT_TENSORS_NEAR_IN_NORM(linear(x.to(at::kBFloat16), half), expected, 6e-3);
}

}  // namespace
}  // namespace flashblock
