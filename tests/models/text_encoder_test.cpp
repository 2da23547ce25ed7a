#include "models/text_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/cuda.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "weights/tensor_file.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using ::testing::HasSubstr;

struct Parity {
  std::shared_ptr<const WeightStore> data;
  std::shared_ptr<const WeightStore> weights;
};

Parity parity(const std::string& name) {
  auto data = testing::parity_data(name);
  return {data, testing::formula_store(testing::umt5_shapes(testing::parity_config(*data)))};
}

class TextEncoderParity : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Files, TextEncoderParity, ::testing::Values("umt5_small", "umt5_wide"));

// `rounded_bound`: relative norm between our bfloat16 run and the recorded one, for a file whose own rounding is 3e-2
// of its float32 result. On the recording's kind of processor sums are ordered alike; a GPU orders them otherwise,
// which turns more roundings the other way.
void expect_parity(const std::string& name, at::Device device, double rounded_bound) {
  const auto [data, weights] = parity(name);
  const at::Tensor ids = data->tensor("ids"), mask = data->tensor("mask");
  const at::Tensor exact = TextEncoder(weights, device, at::kFloat).forward({{ids, mask}}).front();
  EXPECT_TENSORS_CLOSE(exact, data->tensor("prompt_embeds"), 1e-5, 1e-5);
  const at::Tensor rounded = TextEncoder(weights, device, at::kBFloat16).forward({{ids, mask}}).front();
  EXPECT_EQ(rounded.scalar_type(), at::kBFloat16);
  const at::Tensor expected = data->tensor("encoder_out_bf16") * mask.unsqueeze(-1).to(at::kBFloat16);
  EXPECT_TENSORS_NEAR_IN_NORM(rounded, expected, rounded_bound);
}

TEST_P(TextEncoderParity, FollowsTheReference) { expect_parity(GetParam(), at::kCPU, 1e-3); }

TEST_P(TextEncoderParity, FollowsTheReferenceOnCuda) {
  FLASHBLOCK_NEED_CUDA();
  expect_parity(GetParam(), testing::kGpu, 1e-2);
}

TEST(TextEncoder, ReadsItsSizesFromTheTensors) {
  const auto [data, weights] = parity("umt5_wide");
  const TextEncoderConfig config = TextEncoderConfig::from_weights(*weights);
  EXPECT_EQ(config.vocabulary, 512);
  EXPECT_EQ(config.dim, 96);
  EXPECT_EQ(config.attention_dim, 128);
  EXPECT_EQ(config.heads, 8);
  EXPECT_EQ(config.ffn_dim, 224);
  EXPECT_EQ(config.layers, 2);
}

TEST(TextEncoder, PaddingDoesNotChangeThePrompt) {
  const auto [data, weights] = parity("umt5_small");
  const TextEncoder encoder(weights, at::kCPU, at::kFloat);
  const at::Tensor ids = at::tensor({5, 9, 77, 1}, at::kLong).unsqueeze(0);
  const at::Tensor prompt = encoder.forward({{ids, at::full({1, 4}, 1, at::kLong)}}).front();
  at::Tensor padded_ids = at::full({2, 20}, 0, at::kLong), mask = at::zeros({2, 20}, at::kLong);
  padded_ids.narrow(0, 0, 1).narrow(1, 0, 4).copy_(ids);
  mask.narrow(0, 0, 1).narrow(1, 0, 4).fill_(1);
  padded_ids.narrow(0, 1, 1).narrow(1, 0, 12).fill_(3);
  mask.narrow(0, 1, 1).narrow(1, 0, 12).fill_(1);
  const at::Tensor padded = encoder.forward({{padded_ids, mask}}).front();
  EXPECT_EQ(padded.sizes(), at::IntArrayRef({2, 20, 64}));
  EXPECT_TENSORS_CLOSE(padded.narrow(0, 0, 1).narrow(1, 0, 4), prompt, 1e-5, 1e-5);
  EXPECT_EQ(padded.narrow(0, 0, 1).narrow(1, 4, 16).abs().max().item<float>(), 0);
  EXPECT_EQ(padded.narrow(0, 1, 1).narrow(1, 12, 8).abs().max().item<float>(), 0);
}

// Resident: all weights in memory, in the dtype of the work. Streamed: from a mapped file of another dtype, layer by
// layer, with pages of the file given back on the way.
TEST(TextEncoder, LayerByLayerFromAFileItGivesTheSameBits) {
  const auto [data, weights] = parity("umt5_wide");
  const TokenBatch recorded{data->tensor("ids"), data->tensor("mask")};
  const TokenBatch other{at::tensor({5, 9, 77, 1}, at::kLong).unsqueeze(0), at::full({1, 4}, 1, at::kLong)};
  const testing::TemporaryFolder folder;
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const std::string& name : weights->names()) tensors.emplace_back(name, weights->tensor(name));
  write_tensor_file(folder / "encoder.safetensors", tensors);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    std::map<std::string, at::Tensor> converted;
    for (const auto& [name, tensor] : tensors) converted[name] = tensor.to(dtype);
    const TextEncoder resident(WeightStore::from_tensors(converted), at::kCPU, dtype);
    const TextEncoder streamed(WeightStore::open(folder / "encoder.safetensors"), at::kCPU, dtype);
    const at::Tensor expected = resident.forward({recorded}).front(), alone = resident.forward({other}).front();
    for (int run = 0; run < 2; ++run) {
      const auto together = streamed.forward({recorded, other});
      EXPECT_TENSORS_IDENTICAL(together[0], expected);
      EXPECT_TENSORS_IDENTICAL(together[1], alone);
    }
  }
}

TEST(TextEncoder, RefusesIdsOutsideTheVocabulary) {
  const auto [data, weights] = parity("umt5_small");
  const TextEncoder encoder(weights, at::kCPU, at::kFloat);
  const at::Tensor mask = at::full({1, 2}, 1, at::kLong);
  EXPECT_THROW(encoder.forward({{at::tensor({320, 1}, at::kLong).unsqueeze(0), mask}}), ConfigError);
  EXPECT_THROW(encoder.forward({{at::tensor({-1, 1}, at::kLong).unsqueeze(0), mask}}), ConfigError);
}

TEST(TextEncoder, ListsAllFaultsOfItsWeightsTogether) {
  auto shapes = testing::umt5_shapes(testing::parity_config(*testing::parity_data("umt5_small")));
  std::erase_if(shapes, [](const auto& shape) { return shape.first == "norm.weight"; });
  for (auto& [name, shape] : shapes)
    if (name == "blocks.1.ffn.fc2.weight") shape = {64, 161};
  shapes.emplace_back("lm_head.weight", std::vector<int64_t>{320, 64});
  try {
    TextEncoder(testing::formula_store(shapes), at::kCPU, at::kFloat);
    FAIL();
  } catch (const WeightsError& error) {
    EXPECT_THAT(error.what(), HasSubstr("norm.weight"));
    EXPECT_THAT(error.what(), HasSubstr("blocks.1.ffn.fc2.weight"));
    EXPECT_THAT(error.what(), HasSubstr("lm_head.weight"));
  }
}

TEST(TextEncoder, RefusesOtherModels) {
  EXPECT_THROW(TextEncoder(testing::formula_store({{"conv1.weight", {4, 4}}}), at::kCPU, at::kFloat), WeightsError);
  auto shapes = testing::umt5_shapes(testing::parity_config(*testing::parity_data("umt5_small")));
  for (auto& [name, shape] : shapes)
    if (name.find("pos_embedding") != std::string::npos) shape = {32, 5};
  try {
    TextEncoder(testing::formula_store(shapes), at::kCPU, at::kFloat);
    FAIL();
  } catch (const WeightsError& error) {
    EXPECT_THAT(error.what(), HasSubstr("5 heads"));
  }
}

}  // namespace
}  // namespace flashblock
