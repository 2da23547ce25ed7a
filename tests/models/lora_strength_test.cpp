// Where an adapter's alpha comes from: its tensors, its header, a configuration that belongs to it.
#include "models/lora_strength.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

#include <cmath>

#include "core/error.h"
#include "models/lora.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/torch_file_writer.h"
#include "weights/tensor_file.h"
#include "weights/weight_store.h"

namespace flashblock::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kStatedRank = 4;
const std::string kStatedModule = "transformer.blocks.0.attn1.to_q";

/// What the weight, all zeros, becomes: the strength, since every number of B A is 1.
double strength_in(const std::filesystem::path& adapter) {
  const auto model = WeightStore::from_tensors(
      {{"blocks.0.self_attn.q.weight", at::full({2, 2}, 0.0)}, {"blocks.0.self_attn.k.weight", at::full({2, 2}, 0.0)}});
  return with_lora(model, {{WeightStore::open(adapter)}})->tensor("blocks.0.self_attn.q.weight")[0][0].item<double>();
}

class LoraStrengthTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& header = "", double alpha = 0) {
    NamedTensors tensors = {{kStatedModule + ".lora_A.weight", at::full({kStatedRank, 2}, 0.25)},
                            {kStatedModule + ".lora_B.weight", at::ones({2, kStatedRank})}};
    if (alpha > 0) tensors.emplace_back(kStatedModule + ".alpha", at::full({}, alpha));
    std::map<std::string, std::string> metadata = {{"format", "pt"}};
    if (!header.empty()) metadata["lora_adapter_metadata"] = header;
    write_tensor_file(folder_ / name, tensors, metadata);
  }
  void write_config(const std::string& text) { write_bytes(folder_ / "adapter_config.json", text); }
  LoraSummary summary(const std::string& name) { return describe_lora(*WeightStore::open(folder_ / name)); }

  TemporaryFolder folder_;
};

TEST_F(LoraStrengthTest, TheHeaderOfDiffusersStatesAlpha) {
  write("style.safetensors", R"({"transformer.r":4,"transformer.lora_alpha":8,"text_encoder.lora_alpha":99})");
  EXPECT_DOUBLE_EQ(strength_in(folder_ / "style.safetensors"), 2);
  write("style.safetensors", R"({"r":4,"lora_alpha":8})");
  EXPECT_DOUBLE_EQ(strength_in(folder_ / "style.safetensors"), 2) << "as save_lora_adapter writes it";
  write("style.safetensors", R"({"transformer.lora_alpha":8,"transformer.use_rslora":true})");
  EXPECT_FLOAT_EQ(static_cast<float>(strength_in(folder_ / "style.safetensors")), 4) << "8 / sqrt(4)";
  const LoraSummary found = summary("style.safetensors");
  EXPECT_TRUE(found.square_root);
  EXPECT_EQ(found.alpha.largest, 8);
  EXPECT_THAT(found.alpha_from, ElementsAre("the header's lora_adapter_metadata"));
}

TEST_F(LoraStrengthTest, PatternsNameModules) {
  const auto strength = [&](const std::string& pattern) {
    write("style.safetensors", R"({"transformer.lora_alpha":8,"transformer.alpha_pattern":{)" + pattern + "}}");
    return strength_in(folder_ / "style.safetensors");
  };
  EXPECT_DOUBLE_EQ(strength(R"("to_q":16)"), 4);
  EXPECT_DOUBLE_EQ(strength(R"("blocks.0.attn1.to_q":16)"), 4);
  EXPECT_DOUBLE_EQ(strength(R"("^blocks\\.0\\.attn1\\.to_q$":16)"), 4);
  EXPECT_DOUBLE_EQ(strength(R"("^to_q":16)"), 2) << "the whole name";
  EXPECT_DOUBLE_EQ(strength(R"("o_q":16)"), 2) << "whole parts of a name";
  EXPECT_DOUBLE_EQ(strength(R"("to_k":16)"), 2);
  EXPECT_DOUBLE_EQ(strength(R"("to_q":32,"attn1.to_q":16)"), 8) << "the first that fits";
  EXPECT_THAT(error_text<WeightsError>([&] { strength(R"("blocks.[0-9]+.attn1.to_q":16)"); }),
              HasSubstr("regular expression 'blocks.[0-9]+.attn1.to_q'"));
}

TEST_F(LoraStrengthTest, ItsOwnTensorCountsFirstThenTheHeaderThenTheFileBeside) {
  write_config(R"({"lora_alpha":64})");
  write("adapter_model.safetensors", R"({"transformer.lora_alpha":8})", 2);
  EXPECT_DOUBLE_EQ(strength_in(folder_ / "adapter_model.safetensors"), 0.5);
  write("adapter_model.safetensors", R"({"transformer.lora_alpha":8})");
  EXPECT_DOUBLE_EQ(strength_in(folder_ / "adapter_model.safetensors"), 2);
  write("adapter_model.safetensors", R"({"transformer.r":4})");
  EXPECT_DOUBLE_EQ(strength_in(folder_ / "adapter_model.safetensors"), 16) << "the header states no alpha";
  EXPECT_THAT(summary("adapter_model.safetensors").alpha_from, ElementsAre("adapter_config.json"));
}

TEST_F(LoraStrengthTest, AConfigurationBelongsToAdapterModelOrToTheFolderNamed) {
  write_config(R"({"lora_alpha":64})");
  write("style.safetensors");
  EXPECT_DOUBLE_EQ(strength_in(folder_ / "style.safetensors"), 1) << "that of another adapter";
  EXPECT_THAT(summary("style.safetensors").alpha_from, ElementsAre("the rank"));
  EXPECT_DOUBLE_EQ(strength_in(folder_.path()), 16) << "the folder is the adapter";
  EXPECT_EQ(lora_config_file(folder_.path()), folder_ / "adapter_config.json");
  EXPECT_EQ(lora_config_file(folder_ / "style.safetensors"), "");
  EXPECT_EQ(lora_config_file(folder_ / "adapter_model.bin"), folder_ / "adapter_config.json");
}

TEST_F(LoraStrengthTest, AStrengthThatIsNoNumberIsRefused) {
  for (const std::string setting :
       {R"("lora_alpha":"8")", R"("lora_alpha":[8])", R"("alpha_pattern":{"to_q":"8"})", R"("alpha_pattern":8)"}) {
    write("adapter_model.safetensors");
    write_config("{" + setting + "}");
    EXPECT_THAT(error_text<WeightsError>([&] { strength_in(folder_ / "adapter_model.safetensors"); }),
                HasSubstr("adapter_config.json: " + setting.substr(1, setting.find('"', 1) - 1) + " is "));
  }
  write_config(R"({"lora_alpha":null,"alpha_pattern":null})");
  EXPECT_DOUBLE_EQ(strength_in(folder_ / "adapter_model.safetensors"), 1);
}

TEST_F(LoraStrengthTest, WhatIsNoPlainProductIsRefusedWhereverItIsStated) {
  for (const std::string setting :
       {R"("use_dora":true)", R"("fan_in_fan_out":true)", R"("init_lora_weights":"pissa_niter_16")"}) {
    const std::string key = setting.substr(1, setting.find('"', 1) - 1);
    write("style.safetensors", R"({"transformer.)" + setting.substr(1) + "}");
    EXPECT_THAT(error_text<WeightsError>([&] { strength_in(folder_ / "style.safetensors"); }), HasSubstr(key));
    write("adapter_model.safetensors");
    write_config("{" + setting + "}");
    EXPECT_THAT(error_text<WeightsError>([&] { strength_in(folder_ / "adapter_model.safetensors"); }), HasSubstr(key));
  }
  write("style.safetensors", R"({"transformer.lora_alpha":8,"transformer.init_lora_weights":"gaussian"})");
  EXPECT_DOUBLE_EQ(strength_in(folder_ / "style.safetensors"), 2);
  write("style.safetensors", "{");
  EXPECT_THAT(error_text<WeightsError>([&] { strength_in(folder_ / "style.safetensors"); }),
              HasSubstr("style.safetensors: lora_adapter_metadata: is not a JSON object"));
}

}  // namespace
}  // namespace flashblock::testing
