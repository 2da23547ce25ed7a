// Adapters under every combination of prefix, spelling of a module and ending.
#include "models/lora_names.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "core/error.h"
#include "models/lora.h"
#include "tests/support/diffusers_names.h"
#include "tests/support/error_text.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"
#include "weights/weight_store.h"

namespace flashblock::testing {
namespace {

using ::testing::HasSubstr;
using Tensors = std::map<std::string, at::Tensor>;

constexpr int64_t kNamedDim = 6, kNamedRank = 2;

const std::vector<std::string> kNamedModules = {
    "blocks.0.self_attn.q", "blocks.1.cross_attn.o", "blocks.1.ffn.0", "time_embedding.0",
    "time_projection.1",    "text_embedding.2",      "head.head",      "patch_embedding"};

std::shared_ptr<const WeightStore> named_model() {
  Tensors tensors;
  for (const std::string& module : kNamedModules) {
    tensors[module + ".weight"] = formula_data(module, {kNamedDim, kNamedDim}, 1);
    tensors[module + ".bias"] = formula_data(module + "b", {kNamedDim}, 1);
  }
  tensors["blocks.0.modulation"] = formula_data("m", {1, 6, kNamedDim}, 1);
  tensors["head.modulation"] = formula_data("h", {1, 2, kNamedDim}, 1);
  tensors["blocks.0.norm3.weight"] = formula_data("n", {kNamedDim}, 1);
  tensors["blocks.0.norm3.bias"] = formula_data("nb", {kNamedDim}, 1);
  return WeightStore::from_tensors(tensors, "base.safetensors");
}

std::shared_ptr<const WeightStore> changed_by(const Tensors& adapter, double scale = 1) {
  return with_lora(named_model(), {{WeightStore::from_tensors(adapter, "adapter.safetensors"), scale}});
}

std::string with_underscores(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

/// A module in diffusers' names, by the tests' own table.
std::string of_diffusers(const std::string& module) {
  std::string name = package_name(NameLayout::kTransformer, module + ".weight");
  return name.substr(0, name.size() - std::string(".weight").size());
}

TEST(LoraNames, EveryPrefixModuleAndEndingMeansTheSame) {
  const at::Tensor down = formula_data("down", {kNamedRank, kNamedDim}, 1),
                   up = formula_data("up", {kNamedDim, kNamedRank}, 1);
  const std::vector<std::string> dotted = {"",      "diffusion_model.", "transformer.",          "base_model.model.",
                                           "unet.", "pipe.dit.",        "model.diffusion_model."};
  const std::vector<std::string> flat = {"lora_unet_",         "lora_unet__", "lora_transformer_",
                                         "lora_transformer__", "lycoris_",    "lora_unet__orig_mod_"};
  const std::vector<std::pair<std::string, std::string>> endings = {
      {".lora_A.weight", ".lora_B.weight"},
      {".lora_A.default.weight", ".lora_B.default.weight"},
      {".lora_A", ".lora_B"},
      {".lora_down.weight", ".lora_up.weight"},
      {".lora.down.weight", ".lora.up.weight"},
      {".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"}};
  for (const std::string& module : kNamedModules) {
    const at::Tensor expected = named_model()->tensor(module + ".weight") + up.mm(down);
    std::vector<std::string> spellings;
    for (const std::string& own : {module, of_diffusers(module)}) {
      for (const std::string& prefix : dotted) spellings.push_back(prefix + own);
      for (const std::string& prefix : flat) spellings.push_back(prefix + with_underscores(own));
    }
    for (const std::string& spelling : spellings)
      for (const auto& [first, second] : endings) {
        SCOPED_TRACE(spelling + first);
        const auto merged = changed_by({{spelling + first, down}, {spelling + second, up}});
        EXPECT_TENSORS_CLOSE(merged->tensor(module + ".weight"), expected, 1e-6, 1e-6);
      }
  }
}

TEST(LoraNames, DifferencesOfWeightsBiasesAndModulations) {
  const at::Tensor six = formula_data("six", {1, 6, kNamedDim}, 1), two = formula_data("two", {1, 2, kNamedDim}, 1);
  const at::Tensor row = formula_data("row", {kNamedDim}, 1);
  for (const std::string prefix : {"", "diffusion_model.", "lora_unet_"}) {
    SCOPED_TRACE(prefix);
    const bool flat = prefix == "lora_unet_";
    const auto spelled = [&](const std::string& module) { return prefix + (flat ? with_underscores(module) : module); };
    const auto merged = changed_by({{spelled("blocks.0") + ".diff_m", six},
                                    {spelled("head") + ".diff_m", two},
                                    {spelled("blocks.0.norm3") + ".diff", row},
                                    {spelled("blocks.0.norm3") + ".diff_b", row}},
                                   0.5);
    EXPECT_TENSORS_CLOSE(merged->tensor("blocks.0.modulation"),
                         named_model()->tensor("blocks.0.modulation") + six * 0.5, 1e-6, 1e-6);
    EXPECT_TENSORS_CLOSE(merged->tensor("head.modulation"), named_model()->tensor("head.modulation") + two * 0.5, 1e-6,
                         1e-6);
    EXPECT_TENSORS_CLOSE(merged->tensor("blocks.0.norm3.weight"),
                         named_model()->tensor("blocks.0.norm3.weight") + row * 0.5, 1e-6, 1e-6);
    EXPECT_TENSORS_CLOSE(merged->tensor("blocks.0.norm3.bias"),
                         named_model()->tensor("blocks.0.norm3.bias") + row * 0.5, 1e-6, 1e-6);
  }
  // A parameter by its own name, in both namings, and a norm as LyCORIS saves it.
  const auto merged = changed_by({{"diffusion_model.blocks.0.modulation.diff", six},
                                  {"transformer.scale_shift_table.diff", two},
                                  {"lycoris_blocks_0_norm2.w_norm", row},
                                  {"lycoris_blocks_0_norm2.b_norm", row}});
  EXPECT_TENSORS_CLOSE(merged->tensor("blocks.0.modulation"), named_model()->tensor("blocks.0.modulation") + six, 1e-6,
                       1e-6);
  EXPECT_TENSORS_CLOSE(merged->tensor("head.modulation"), named_model()->tensor("head.modulation") + two, 1e-6, 1e-6);
  EXPECT_TENSORS_CLOSE(merged->tensor("blocks.0.norm3.weight"), named_model()->tensor("blocks.0.norm3.weight") + row,
                       1e-6, 1e-6);
  EXPECT_TENSORS_CLOSE(merged->tensor("blocks.0.norm3.bias"), named_model()->tensor("blocks.0.norm3.bias") + row, 1e-6,
                       1e-6);
}

// PEFT's lora_bias: B has a bias, which counts as strongly as the product.
TEST(LoraNames, TheBiasOfAProductIsAddedToTheBias) {
  const at::Tensor down = formula_data("down", {kNamedRank, kNamedDim}, 1),
                   up = formula_data("up", {kNamedDim, kNamedRank}, 1);
  const at::Tensor bias = formula_data("bias", {kNamedDim}, 1);
  const auto merged = changed_by({{"transformer.blocks.0.attn1.to_q.lora_A.weight", down},
                                  {"transformer.blocks.0.attn1.to_q.lora_B.weight", up},
                                  {"transformer.blocks.0.attn1.to_q.lora_B.bias", bias},
                                  {"transformer.blocks.0.attn1.to_q.alpha", at::ones({}) * 8}},
                                 0.5);
  EXPECT_TENSORS_CLOSE(merged->tensor("blocks.0.self_attn.q.bias"),
                       named_model()->tensor("blocks.0.self_attn.q.bias") + bias * (0.5 * 8 / kNamedRank), 1e-5, 1e-5);
  EXPECT_THAT(error_text<WeightsError>([&] {
                changed_by({{"blocks.0.self_attn.q.lora_B.bias", bias}});
              }),
              HasSubstr("without its matrices"));
}

TEST(LoraNames, WhatIsOfNoModuleOfTheModelIsRefused) {
  for (const char* module : {"lora_te_blocks_0_self_attn_q", "lora_unet_blocks_7_self_attn_q", "blocks.0.self_attn.qq",
                             "lora_unet_", "transformer_2.blocks.0.attn1.to_q"})
    EXPECT_THAT(error_text<WeightsError>([&] {
                  changed_by({{std::string(module) + ".lora_A.weight", at::ones({1, 1})}});
                }),
                HasSubstr("a module that the model does not have"))
        << module;
  EXPECT_FALSE(parse_lora_name("blocks.0.self_attn.q.weight"));
  EXPECT_FALSE(parse_lora_name("alpha"));
  EXPECT_EQ(parse_lora_name("a.lora_B.my_style.bias")->module, "a");
}

}  // namespace
}  // namespace flashblock::testing
