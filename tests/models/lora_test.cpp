// Adapters merged into weights, against the product computed apart.
#include "models/lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/formula_weights.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/torch_file_writer.h"
#include "weights/tensor_file.h"
#include "weights/weight_store.h"

namespace flashblock::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Tensors = std::map<std::string, at::Tensor>;

constexpr int64_t kOut = 6, kIn = 4, kRank = 3;

std::shared_ptr<const WeightStore> base(at::ScalarType dtype = at::kFloat) {
  Tensors tensors;
  for (const char* name : {"blocks.0.self_attn.q", "blocks.0.ffn.0", "blocks.1.cross_attn.o"}) {
    tensors[std::string(name) + ".weight"] = formula_data(name, {kOut, kIn}, 1).to(dtype);
    tensors[std::string(name) + ".bias"] = formula_data(std::string(name) + "b", {kOut}, 1).to(dtype);
  }
  tensors["patch_embedding.weight"] = formula_data("patch", {kOut, 2, 1, 2, 2}, 1).to(dtype);
  return WeightStore::from_tensors(tensors, "base.safetensors");
}

at::Tensor down() { return formula_data("down", {kRank, kIn}, 1); }
at::Tensor up() { return formula_data("up", {kOut, kRank}, 1); }
at::Tensor number(double value) { return at::full({}, value); }

/// `weight` + factor * B A, number by number.
at::Tensor merged_apart(const at::Tensor& weight, const at::Tensor& b, const at::Tensor& a, double factor) {
  at::Tensor result = weight.to(at::kDouble).flatten(1).clone();
  const at::Tensor wide_a = a.flatten(1).to(at::kDouble), wide_b = b.flatten(1).to(at::kDouble);
  for (int64_t row = 0; row < result.size(0); ++row)
    for (int64_t column = 0; column < result.size(1); ++column)
      for (int64_t k = 0; k < wide_a.size(0); ++k)
        result.accessor<double, 2>()[row][column] +=
            factor * wide_b.accessor<double, 2>()[row][k] * wide_a.accessor<double, 2>()[k][column];
  return result.view(weight.sizes()).to(weight.scalar_type());
}

std::shared_ptr<const WeightStore> with(const Tensors& adapter, double scale = 1.0) {
  return with_lora(base(), {{WeightStore::from_tensors(adapter, "adapter.safetensors"), scale}});
}

std::string refusal(const Tensors& adapter) {
  return error_text<WeightsError>([&] { with(adapter); });
}

TEST(Lora, EveryNamingMergesTheSameProduct) {
  const std::string q = "blocks.0.self_attn.q.weight";
  const std::vector<std::pair<Tensors, double>> cases = {
      {{{"base_model.model.blocks.0.self_attn.q.lora_A.weight", down()},
        {"base_model.model.blocks.0.self_attn.q.lora_B.weight", up()}},
       1.0},
      {{{"base_model.model.model.blocks.0.self_attn.q.lora_A.default.weight", down()},
        {"base_model.model.model.blocks.0.self_attn.q.lora_B.default.weight", up()}},
       1.0},
      {{{"diffusion_model.blocks.0.self_attn.q.lora_A.weight", down()},
        {"diffusion_model.blocks.0.self_attn.q.lora_B.weight", up()},
        {"diffusion_model.blocks.0.self_attn.q.alpha", number(6)}},
       2.0},
      {{{"lora_unet_blocks_0_self_attn_q.lora_down.weight", down()},
        {"lora_unet_blocks_0_self_attn_q.lora_up.weight", up()},
        {"lora_unet_blocks_0_self_attn_q.alpha", number(1.5)}},
       0.5},
      {{{"transformer.blocks.0.attn1.to_q.lora_A.weight", down()},
        {"transformer.blocks.0.attn1.to_q.lora_B.weight", up()}},
       1.0},
      {{{"blocks.0.attn1.to_q.lora.down.weight", down()}, {"blocks.0.attn1.to_q.lora.up.weight", up()}}, 1.0}};
  for (const auto& [adapter, alpha_over_rank] : cases) {
    SCOPED_TRACE(adapter.begin()->first);
    const auto store = with(adapter, 0.75);
    EXPECT_TENSORS_CLOSE(store->tensor(q), merged_apart(base()->tensor(q), up(), down(), 0.75 * alpha_over_rank), 1e-6,
                         1e-6);
    EXPECT_TENSORS_IDENTICAL(store->tensor("blocks.0.ffn.0.weight"), base()->tensor("blocks.0.ffn.0.weight"));
    EXPECT_EQ(store->shape(q), (std::vector<int64_t>{kOut, kIn}));
  }
}

TEST(Lora, SeveralAdaptersAddUpWhateverTheirOrder) {
  const Tensors first = {{"blocks.0.ffn.0.lora_A.weight", down()}, {"blocks.0.ffn.0.lora_B.weight", up()}};
  const Tensors second = {{"lora_unet_blocks_0_ffn_0.lora_down.weight", down() * 2},
                          {"lora_unet_blocks_0_ffn_0.lora_up.weight", up() - 1},
                          {"lora_unet_blocks_0_ffn_0.alpha", number(1)}};
  const auto one = WeightStore::from_tensors(first), two = WeightStore::from_tensors(second);
  const at::Tensor weight = base()->tensor("blocks.0.ffn.0.weight");
  const at::Tensor expected =
      merged_apart(merged_apart(weight, up(), down(), 0.5), up() - 1, down() * 2, -0.25 / kRank);
  for (const std::vector<LoraAdapter>& order :
       {std::vector<LoraAdapter>{{one, 0.5}, {two, -0.25}}, std::vector<LoraAdapter>{{two, -0.25}, {one, 0.5}}})
    EXPECT_TENSORS_CLOSE(with_lora(base(), order)->tensor("blocks.0.ffn.0.weight"), expected, 1e-6, 1e-6);
}

TEST(Lora, RoundsOnceToTheDtypeOfTheBase) {
  const Tensors adapter = {{"blocks.0.ffn.0.lora_A.weight", down()}, {"blocks.0.ffn.0.lora_B.weight", up()}};
  const auto store = with_lora(base(at::kBFloat16), {{WeightStore::from_tensors(adapter)}});
  const at::Tensor weight = base(at::kBFloat16)->tensor("blocks.0.ffn.0.weight");
  EXPECT_TENSORS_IDENTICAL(store->tensor("blocks.0.ffn.0.weight"),
                           merged_apart(weight.to(at::kFloat), up(), down(), 1).to(at::kBFloat16));
  const auto eight_bits = with_lora(base(at::kFloat8_e4m3fn), {{WeightStore::from_tensors(adapter)}});
  EXPECT_EQ(eight_bits->tensor("blocks.0.ffn.0.weight").scalar_type(), at::kBFloat16);
}

TEST(Lora, ConvolutionsAndPlainDifferencesAreMergedToo) {
  const at::Tensor conv_down = formula_data("conv down", {kRank, 2, 1, 2, 2}, 1);
  const at::Tensor conv_up = formula_data("conv up", {kOut, kRank, 1, 1, 1}, 1);
  const at::Tensor difference = formula_data("difference", {kOut}, 1);
  const auto store = with({{"patch_embedding.lora_down.weight", conv_down},
                           {"patch_embedding.lora_up.weight", conv_up},
                           {"blocks.0.ffn.0.diff_b", difference},
                           {"blocks.1.cross_attn.o.diff", down().new_zeros({kOut, kIn}) + 1}},
                          2.0);
  EXPECT_TENSORS_CLOSE(store->tensor("patch_embedding.weight"),
                       merged_apart(base()->tensor("patch_embedding.weight"), conv_up, conv_down, 2.0), 1e-6, 1e-6);
  EXPECT_TENSORS_CLOSE(store->tensor("blocks.0.ffn.0.bias"), base()->tensor("blocks.0.ffn.0.bias") + difference * 2.0,
                       1e-6, 1e-6);
  EXPECT_TENSORS_CLOSE(store->tensor("blocks.1.cross_attn.o.weight"),
                       base()->tensor("blocks.1.cross_attn.o.weight") + 2.0, 1e-6, 1e-6);
}

TEST(Lora, TakesAlphaFromPeftsConfiguration) {
  const TemporaryFolder folder;
  write_tensor_file(folder / "adapter_model.safetensors",
                    {{"blocks.0.ffn.0.lora_A.weight", down()}, {"blocks.0.ffn.0.lora_B.weight", up()}});
  const auto merged = [&](const std::string& config) {
    write_bytes(folder / "adapter_config.json", config);
    return with_lora(base(), {{WeightStore::open(folder / "adapter_model.safetensors")}})
        ->tensor("blocks.0.ffn.0.weight");
  };
  const at::Tensor weight = base()->tensor("blocks.0.ffn.0.weight");
  EXPECT_TENSORS_CLOSE(merged(R"({"r":3,"lora_alpha":6})"), merged_apart(weight, up(), down(), 2), 1e-6, 1e-6);
  EXPECT_TENSORS_CLOSE(merged(R"({"r":3,"lora_alpha":6,"use_rslora":true,"alpha_pattern":{}})"),
                       merged_apart(weight, up(), down(), 6 / std::sqrt(3.0)), 1e-6, 1e-6);
  EXPECT_TENSORS_CLOSE(merged("{}"), merged_apart(weight, up(), down(), 1), 1e-6, 1e-6);
  for (const char* key : {"use_dora", "fan_in_fan_out"})
    EXPECT_THAT(error_text<WeightsError>([&] { merged(std::string("{\"") + key + "\":true}"); }), HasSubstr(key));
  EXPECT_THAT(error_text<WeightsError>([&] { merged("[]"); }), HasSubstr("adapter_config.json"));
}

TEST(Lora, ListsEverythingThatDoesNotFitTogether) {
  const std::string text = refusal({{"blocks.0.ffn.0.lora_A.weight", down()},
                                    {"blocks.0.ffn.0.lora_B.weight", at::zeros({kOut + 1, kRank})},
                                    {"blocks.0.self_attn.q.lora_A.weight", down()},
                                    {"blocks.9.ffn.0.lora_A.weight", down()},
                                    {"lora_te_text_model.lora_up.weight", up()},
                                    {"blocks.1.cross_attn.o.diff_b", at::zeros({2})},
                                    {"optimizer", at::zeros({1})}});
  EXPECT_THAT(text, AllOf(HasSubstr("adapter.safetensors"), HasSubstr("[7, 3] and [3, 4], the weight is [6, 4]"),
                          HasSubstr("'blocks.0.self_attn.q' has only one"), HasSubstr("'blocks.9.ffn.0.lora_A.weight'"),
                          HasSubstr("'lora_te_text_model.lora_up.weight'"), HasSubstr("difference for 'blocks.1"),
                          HasSubstr("unexpected 'optimizer'")));
}

TEST(Lora, RefusesOtherKindsOfAdapters) {
  for (const char* name : {"blocks.0.ffn.0.dora_scale", "blocks.0.ffn.0.lora_magnitude_vector",
                           "lora_unet_blocks_0_ffn_0.hada_w1_a", "lora_unet_blocks_0_ffn_0.lokr_w1"})
    EXPECT_THAT(refusal({{name, down()}}), AllOf(HasSubstr(name), HasSubstr("no plain product")));
  EXPECT_THAT(error_text<WeightsError>([] { with_lora(base(), {{WeightStore::from_tensors({}, "empty.pt")}}); }),
              HasSubstr("holds no adapter"));
}

TEST(Lora, NoAdaptersLeaveTheBaseAlone) {
  const auto store = base();
  EXPECT_EQ(with_lora(store, {}), store);
}

TEST(Lora, NumbersThatAreNotFiniteAreRefusedWithTheirTensor) {
  const std::string q = "blocks.0.self_attn.q";
  const double infinity = std::numeric_limits<double>::infinity(), not_a_number = std::nan("");
  at::Tensor broken = up();
  broken.flatten()[5] = not_a_number;
  const std::string finite = "has numbers that are not finite";
  EXPECT_THAT(
      refusal({{q + ".lora_A.weight", down()}, {q + ".lora_B.weight", up()}, {q + ".alpha", number(not_a_number)}}),
      AllOf(HasSubstr("adapter.safetensors"), HasSubstr("'" + q + ".alpha' " + finite)));
  EXPECT_THAT(refusal({{q + ".lora_A.weight", down()}, {q + ".lora_B.weight", broken.to(at::kBFloat16)}}),
              HasSubstr("'" + q + ".lora_B.weight' " + finite));
  EXPECT_THAT(refusal({{q + ".diff_b", at::full({kOut}, infinity)}}), HasSubstr("'" + q + ".diff_b' " + finite));
}

}  // namespace
}  // namespace flashblock::testing
