// The kernels of a language model's layer against LibTorch's operators, at the sizes of the published models.
#include "language/language_layers.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "attention/grouped_heads.h"
#include "tests/support/cuda.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

constexpr double kEps = 1e-6;

at::Tensor some(at::IntArrayRef shape, double scale = 1) {
  return at::randn(shape, at::TensorOptions(testing::kGpu).dtype(at::kBFloat16)) * scale;
}

at::Tensor in_float32(const at::Tensor& x, const at::Tensor& weight) {
  return at::linear(x.to(at::kFloat), weight.to(at::kFloat));
}

// One rounding to bfloat16 is 1.7e-3 in norm.
constexpr double kOneRounding = 2e-3, kThreeRoundings = 4e-3;

TEST(LanguageLayersCuda, ProductsOfFewRowsAreNearThoseInFloat32) {
  FLASHBLOCK_NEED_CUDA();
  at::manual_seed(1);
  for (const auto& [depth, columns] :
       {std::tuple{2048, 4096}, {2560, 6144}, {4096, 6144}, {4096, 4096}, {4096, 24576}, {4096, 151936}}) {
    const at::Tensor weight = some({columns, depth}, 0.02);
    for (const int64_t rows : {1, 4, 8, 11, 16, 17}) {
      const at::Tensor x = some({1, rows, depth}), expected = in_float32(x, weight);
      EXPECT_TENSORS_NEAR_IN_NORM(project(x, weight), expected, kOneRounding) << rows << 'x' << columns;
      if (columns == 24576) {
        EXPECT_TENSORS_NEAR_IN_NORM(project_swiglu(x, {weight}), swiglu(expected), kThreeRoundings) << rows;
      }
    }
  }
}

TEST(LanguageLayersCuda, SumsOfLongProductsAreNearThoseInFloat32) {
  FLASHBLOCK_NEED_CUDA();
  at::manual_seed(2);
  for (const auto& [depth, width] : {std::tuple{6144, 2048}, {9728, 2560}, {12288, 4096}}) {
    const at::Tensor weight = some({width, depth}, 0.01), norm = some({width});
    for (const int64_t rows : {4, 8, 16, 33}) {
      const at::Tensor x = some({1, rows, depth}), residual = some({1, rows, width});
      const NormedSum actual = add_text_norm(residual, project_update(x, weight), norm, kEps);
      const at::Tensor sum = residual.to(at::kFloat) + in_float32(x, weight);
      EXPECT_TENSORS_NEAR_IN_NORM(actual.sum, sum, kThreeRoundings) << rows << 'x' << depth;
      EXPECT_TENSORS_NEAR_IN_NORM(actual.normed, text_rms_norm(sum, norm, kEps), kThreeRoundings) << rows;
    }
  }
}

TEST(LanguageLayersCuda, FewRowsAreSelectedAsMany) {
  FLASHBLOCK_NEED_CUDA();
  const at::Tensor table = some({1000, 4096});
  for (const int64_t count : {1, 4, 32, 33}) {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < count; ++i) rows.push_back(i * 637 % 1000);
    const at::Tensor index = at::tensor(rows, at::kLong).to(testing::kGpu);
    EXPECT_TENSORS_IDENTICAL(select_rows(table, rows), table.index_select(0, index)) << count;
  }
}

TEST(LanguageLayersCuda, GroupedHeadsAreProjectedInTheirOwnOrder) {
  FLASHBLOCK_NEED_CUDA();
  at::manual_seed(3);
  const at::Tensor weight = some({4096, 4096}, 0.02);
  for (const int64_t batch : {1, 2})
    for (const int64_t tokens : {4, 8, 20}) {
      const at::Tensor heads = some({batch, tokens, 32, 128});
      EXPECT_TENSORS_NEAR_IN_NORM(project_heads(group_queries(heads, 8), weight, 4),
                                  in_float32(heads.flatten(2), weight), kOneRounding);
    }
}

TEST(LanguageLayersCuda, NormsSumsAndSwigluEqualThoseOnTheCpu) {
  FLASHBLOCK_NEED_CUDA();
  at::manual_seed(4);
  for (const int64_t width : {2048, 2560, 4096}) {
    const at::Tensor x = some({2, 5, width}), update = some({2, 5, width}), weight = some({width});
    for (const bool adds : {false, true}) {
      const NormedSum gpu = add_text_norm(x, {adds ? update : at::Tensor(), {}}, weight, kEps);
      const NormedSum cpu = add_text_norm(x.cpu(), {adds ? update.cpu() : at::Tensor(), {}}, weight.cpu(), kEps);
      EXPECT_TENSORS_IDENTICAL(gpu.sum.cpu(), cpu.sum);
      EXPECT_TENSORS_NEAR_IN_NORM(gpu.normed, cpu.normed, 2e-4);
    }
    EXPECT_TENSORS_NEAR_IN_NORM(swiglu(x), swiglu(x.cpu()), 2e-4);
  }
}

TEST(LanguageLayersCuda, HeadsAreStagedAsOnTheCpu) {
  FLASHBLOCK_NEED_CUDA();
  at::manual_seed(5);
  const TextRopeTable angles(128, 300, 1e6, testing::kGpu);
  const at::Tensor q_norm = some({128}), k_norm = some({128});
  for (const auto& [batch, tokens, attending, heads] :
       {std::tuple{1, 4, 4, 32}, {1, 8, 4, 32}, {2, 8, 8, 16}, {1, 64, 64, 32}, {1, 4, 0, 16}}) {
    const at::Tensor projected = some({batch, tokens, (heads + 16) * 128});
    const Rotation rotation = angles.rotation(200, tokens);
    const Rotation on_cpu{rotation.cosine.cpu(), rotation.sine.cpu()};
    at::Tensor keys = at::zeros({batch, 100, 8, 128}, projected.options()), values = at::zeros_like(keys);
    at::Tensor cpu_keys = keys.cpu(), cpu_values = values.cpu();
    const auto staged = [tokens = tokens](const at::Tensor& k, const at::Tensor& v) {
      return KeyRange{k.narrow(1, 30, tokens), v.narrow(1, 30, tokens)};
    };
    const at::Tensor q = stage_heads(projected, {q_norm, k_norm, kEps, rotation}, attending, staged(keys, values));
    const at::Tensor cpu_q = stage_heads(projected.cpu(), {q_norm.cpu(), k_norm.cpu(), kEps, on_cpu}, attending,
                                         staged(cpu_keys, cpu_values));
    EXPECT_TENSORS_NEAR_IN_NORM(keys, cpu_keys, 5e-4);
    EXPECT_TENSORS_IDENTICAL(values.cpu(), cpu_values);
    ASSERT_EQ(q.defined(), attending > 0);
    if (attending > 0) {
      EXPECT_TENSORS_NEAR_IN_NORM(q, cpu_q, 5e-4);
    }
  }
}

}  // namespace
}  // namespace flashblock
