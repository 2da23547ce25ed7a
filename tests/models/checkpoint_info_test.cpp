#include "models/checkpoint_info.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/checkpoint_info_text.h"
#include "tests/support/diffusers_names.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/torch_file_writer.h"
#include "weights/tensor_file.h"

namespace flashblock::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

const nlohmann::json kTransformer = {{"dim", 128},     {"num_layers", 2},         {"ffn_dim", 64}, {"freq_dim", 256},
                                     {"text_dim", 32}, {"patch_size", {1, 2, 2}}, {"in_dim", 16},  {"out_dim", 16}};
const nlohmann::json kTextEncoder = {{"vocab_size", 50}, {"dim", 32},       {"dim_attn", 32},   {"dim_ffn", 48},
                                     {"num_heads", 4},   {"num_layers", 3}, {"num_buckets", 32}};

std::vector<std::pair<std::string, at::Tensor>> without(std::vector<std::pair<std::string, at::Tensor>> tensors,
                                                        const std::string& name) {
  std::erase_if(tensors, [&](const auto& tensor) { return tensor.first == name; });
  return tensors;
}

TEST(CheckpointInfo, TellsBothHalvesOfATransformerCheckpoint) {
  const TemporaryFolder folder;
  const auto tensors = formula_tensors(transformer_shapes(kTransformer));
  write_torch_file(folder / "self_forcing_dmd.pt",
                   {{{"generator", state_dict(tensors, "model.")},
                     {"generator_ema", state_dict(without(tensors, "blocks.1.norm3.bias"), "model.")}}});
  const ModelInfo info = inspect_model(folder / "self_forcing_dmd.pt");
  ASSERT_EQ(info.checkpoints.size(), 1u);
  const CheckpointInfo& checkpoint = info.checkpoints[0];
  ASSERT_EQ(checkpoint.sets.size(), 2u);
  EXPECT_EQ(checkpoint.sets[0].entry, "generator");
  EXPECT_EQ(checkpoint.sets[0].kind, CheckpointKind::kWanTransformer);
  EXPECT_EQ(checkpoint.sets[0].tensors, 2 * 27 + 15);
  EXPECT_EQ(checkpoint.sets[0].dtypes, "float32");
  EXPECT_THAT(checkpoint.sets[0].geometry, Contains(Pair("dim", 128)));
  EXPECT_THAT(checkpoint.sets[0].geometry, Contains(Pair("layers", 2)));
  EXPECT_THAT(checkpoint.sets[0].missing, IsEmpty());
  EXPECT_THAT(checkpoint.sets[1].missing, ElementsAre("blocks.1.norm3.bias"));
  EXPECT_THAT(checkpoint.presets, IsEmpty());
  EXPECT_THAT(checkpoint.notes, Contains(HasSubstr("self-forcing-dmd, which is 1536 wide; this one is 128")));
  EXPECT_THAT(describe(info), HasSubstr("generator_ema: Wan video transformer"));
  EXPECT_EQ(to_json(info)["checkpoints"][0]["sets"][1]["missing"][0], "blocks.1.norm3.bias");
}

TEST(CheckpointInfo, TellsTheOtherKinds) {
  const TemporaryFolder folder;
  const at::Tensor one = at::ones({4, 4});
  auto image = formula_tensors(transformer_shapes(kTransformer));
  image.emplace_back("blocks.0.cross_attn.k_img.weight", one);
  const std::vector<std::pair<CheckpointKind, std::vector<std::pair<std::string, at::Tensor>>>> cases = {
      {CheckpointKind::kWanImageTransformer, image},
      {CheckpointKind::kWanTransformer,
       with_package_names(NameLayout::kTransformer, formula_tensors(transformer_shapes(kTransformer)))},
      {CheckpointKind::kWanVae, with_package_names(NameLayout::kVae, formula_tensors(vae_shapes(8)))},
      {CheckpointKind::kTextEncoder,
       with_package_names(NameLayout::kTextEncoder, formula_tensors(umt5_shapes(kTextEncoder)))},
      {CheckpointKind::kTextEncoder, formula_tensors(umt5_shapes(kTextEncoder))},
      {CheckpointKind::kWanVae, formula_tensors(vae_shapes(8))},
      {CheckpointKind::kWanVae, formula_tensors(wan22_vae_shapes(4, 4))},
      {CheckpointKind::kWanVae, with_package_names(NameLayout::kResidualVae, formula_tensors(wan22_vae_shapes(4, 4)))},
      {CheckpointKind::kTinyVae, formula_tensors(taehv_shapes())},
      {CheckpointKind::kTinyVae, formula_tensors(taehv22_super_shapes())},
      {CheckpointKind::kLora, {{"base_model.model.model.blocks.0.self_attn.q.lora_A.weight", at::ones({8, 16})}}},
      {CheckpointKind::kLora, {{"diffusion_model.blocks.0.diff_m", at::ones({1, 6, 16})}}},
      {CheckpointKind::kUnknown, {{"conv.weight", one}}}};
  for (const auto& [kind, tensors] : cases) {
    write_tensor_file(folder / "w.safetensors", tensors);
    const WeightSetInfo set = inspect_model(folder / "w.safetensors").checkpoints.at(0).sets.at(0);
    EXPECT_EQ(name_of(set.kind), name_of(kind));
    EXPECT_THAT(set.missing, IsEmpty()) << name_of(kind);
  }
  EXPECT_THAT(describe(inspect_model(folder / "w.safetensors")), Not(HasSubstr("names of")));
  write_tensor_file(folder / "w.safetensors", cases[3].second);
  EXPECT_THAT(describe(inspect_model(folder / "w.safetensors")), HasSubstr("names of transformers"));
  EXPECT_THAT(
      inspect_model(folder / "w.safetensors").checkpoints[0].sets[0].geometry,
      ElementsAre(Pair("vocabulary", 50), Pair("dim", 32), Pair("heads", 4), Pair("layers", 3), Pair("ffn_dim", 48)));
}

TEST(CheckpointInfo, SaysThatNothingIsKnownOfTheSamplingUnlessAModelFileSaysIt) {
  const TemporaryFolder folder;
  write_tensor_file(folder / "mine.safetensors", formula_tensors(transformer_shapes(kTransformer)));
  const auto text = [&](SamplingKnown sampling) {
    return describe(inspect_model(folder / "mine.safetensors", {.sampling = sampling}));
  };
  EXPECT_THAT(text(SamplingKnown::kNo), HasSubstr("Nothing in the file says how it was trained"));
  EXPECT_THAT(text(SamplingKnown::kYes), Not(HasSubstr("Nothing in the file says")));
}

// By hand: keys and values of 2 layers, 128 wide, 21 latent frames of 4 x 3 tokens, two bytes each.
TEST(CheckpointInfo, TellsTheMemoryOfATransformerAtASize) {
  const TemporaryFolder folder;
  write_tensor_file(folder / "w.safetensors", formula_tensors(transformer_shapes(kTransformer)));
  const ModelInfo info = inspect_model(folder / "w.safetensors", {.size = VideoGeometry{.width = 64, .height = 48}});
  const WeightSetInfo& set = info.checkpoints.at(0).sets.at(0);
  ASSERT_TRUE(set.memory);
  EXPECT_EQ(set.memory->weights_bytes, 2 * set.parameters);
  EXPECT_EQ(set.memory->cache_bytes, 2 * 2 * 128 * 21 * 12 * 2);
  EXPECT_THAT(describe(info), HasSubstr("at 64x48 in bfloat16"));
  EXPECT_EQ(to_json(info)["checkpoints"][0]["sets"][0]["memory"]["cache_bytes"], set.memory->cache_bytes);
  EXPECT_FALSE(inspect_model(folder / "w.safetensors").checkpoints.at(0).sets.at(0).memory);
}

TEST(CheckpointInfo, TellsRankAndAlphaOfAnAdapterAndWhereAlphaIsFrom) {
  const TemporaryFolder folder;
  const auto text = [&](const NamedTensors& tensors, const std::map<std::string, std::string>& metadata = {}) {
    write_tensor_file(folder / "style.safetensors", tensors, metadata);
    return describe(inspect_model(folder / "style.safetensors"));
  };
  const NamedTensors product = {{"blocks.0.ffn.0.lora_A.weight", at::ones({4, 8})},
                                {"blocks.0.ffn.0.lora_B.weight", at::ones({8, 4})}};
  EXPECT_THAT(text(product), HasSubstr("rank 4, alpha 4 (from the rank), strength 1 (alpha / rank), 1 products"));
  EXPECT_THAT(text(product, {{"lora_adapter_metadata", R"({"transformer.lora_alpha":8})"}}),
              HasSubstr("alpha 8 (from the header's lora_adapter_metadata), strength 2"));
  NamedTensors two = product;
  two.emplace_back("blocks.0.ffn.0.alpha", at::full({}, 2.0));
  two.emplace_back("lora_unet_blocks_1_ffn_0.lora_down.weight", at::ones({16, 8}));
  two.emplace_back("lora_unet_blocks_1_ffn_0.lora_up.weight", at::ones({8, 16}));
  two.emplace_back("blocks.1.diff_m", at::ones({1, 6, 8}));
  EXPECT_THAT(text(two), HasSubstr("rank 4 to 16, alpha 2 to 16 (from its alpha tensors, the rank), strength 0.5 to 1 "
                                   "(alpha / rank), 2 products, 1 modules with differences"));
  const nlohmann::json json = to_json(inspect_model(folder / "style.safetensors"))["checkpoints"][0]["sets"][0]["lora"];
  EXPECT_EQ(json["rank"], nlohmann::json({4.0, 16.0}));
  EXPECT_EQ(json["products"], 2);
  EXPECT_THAT(text(product, {{"lora_adapter_metadata", R"({"transformer.use_dora":true})"}}),
              HasSubstr("cannot be used: "));
  NamedTensors rescaled = product;  // by LyCORIS, use_scalar
  rescaled.emplace_back("blocks.0.ffn.0.scalar", at::full({}, 0.5));
  EXPECT_THAT(text(rescaled), HasSubstr("unexpected 'blocks.0.ffn.0.scalar'"));
}

TEST(CheckpointInfo, TakesTheHeadsFromTheConfigurationAsARenderDoes) {
  const TemporaryFolder folder;
  nlohmann::json sizes = kTransformer;
  sizes["dim"] = 320;
  write_tensor_file(folder / "w.safetensors", formula_tensors(transformer_shapes(sizes)));
  const auto geometry = [&](const std::filesystem::path& config = {}) {
    return inspect_model(folder / "w.safetensors", {.transformer_config = config})
        .checkpoints.at(0)
        .sets.at(0)
        .geometry;
  };
  EXPECT_THAT(geometry(), Not(Contains(Pair("heads", ::testing::_)))) << "320 is no multiple of 128";
  write_bytes(folder / "named.json", R"({"num_heads":10})");
  EXPECT_THAT(geometry(folder / "named.json"), Contains(Pair("heads", 10)));
  write_bytes(folder / "config.json", R"({"num_heads":5})");
  EXPECT_THAT(geometry(), Contains(Pair("heads", 5)));
  write_bytes(folder / "config.json", R"({"num_heads":4,"dim":512})");
  EXPECT_THAT(geometry(), Not(Contains(Pair("heads", ::testing::_)))) << "that of another model in the folder";
}

TEST(CheckpointInfo, ListsTheModelsOfOneFileAndWhatIsPassedOver) {
  const TemporaryFolder folder;
  NamedTensors all;
  for (const auto& [name, tensor] : formula_tensors(transformer_shapes(kTransformer)))
    all.emplace_back("model.diffusion_model." + name, tensor);
  for (const auto& [name, tensor] :
       with_package_names(NameLayout::kTextEncoder, formula_tensors(umt5_shapes(kTextEncoder))))
    all.emplace_back("text_encoders.umt5xxl.transformer." + name, tensor);
  all.emplace_back("text_encoders.umt5xxl.transformer.spiece_model", at::ones({5}));
  for (const auto& [name, tensor] : formula_tensors(vae_shapes(8))) all.emplace_back("vae." + name, tensor);
  write_tensor_file(folder / "all.safetensors", all);
  const ModelInfo info = inspect_model(folder / "all.safetensors");
  const auto& sets = info.checkpoints.at(0).sets;
  ASSERT_EQ(sets.size(), 3u);
  EXPECT_EQ(sets[0].kind, CheckpointKind::kWanTransformer);
  EXPECT_EQ(sets[1].kind, CheckpointKind::kTextEncoder);
  EXPECT_EQ(sets[2].kind, CheckpointKind::kWanVae);
  for (const WeightSetInfo& set : sets) EXPECT_THAT(set.missing, IsEmpty());
  EXPECT_THAT(sets[1].extras, ElementsAre("spiece_model"));
  EXPECT_THAT(describe(info), HasSubstr("passed over, no weights: spiece_model"));
  EXPECT_THAT(describe(info), HasSubstr("Holds several models in one file"));
}

TEST(CheckpointInfo, SaysThatWeightsAreQuantised) {
  const TemporaryFolder folder;
  auto tensors = formula_tensors(transformer_shapes(kTransformer));
  tensors.emplace_back("blocks.0.ffn.0.weight_scale", at::ones({64, 1}));
  write_tensor_file(folder / "w.safetensors", tensors);
  const ModelInfo info = inspect_model(folder / "w.safetensors");
  EXPECT_EQ(info.checkpoints.at(0).sets.at(0).quantized, "blocks.0.ffn.0.weight_scale");
  EXPECT_THAT(describe(info), HasSubstr("quantized (it has blocks.0.ffn.0.weight_scale)"));
}

TEST(CheckpointInfo, ListsWhatAFolderHoldsAndLacks) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "transformer");
  write_tensor_file(folder / "transformer/w-1.safetensors",
                    without(formula_tensors(transformer_shapes(kTransformer)), "head.head.bias"));
  write_tensor_file(folder / "transformer/w-2.safetensors", {{"head.head.bias", at::ones({64})}});
  write_bytes(folder / "transformer/w.safetensors.index.json",
              R"({"weight_map":{"patch_embedding.weight":"w-1.safetensors","head.head.bias":"w-2.safetensors"}})");
  write_bytes(folder / "broken.pth", "PK\x03\x04...");
  const ModelInfo info = inspect_model(folder.path());
  ASSERT_EQ(info.checkpoints.size(), 2u);
  EXPECT_EQ(info.checkpoints[0].files.size(), 2u);
  EXPECT_THAT(info.checkpoints[0].sets.at(0).missing, IsEmpty());
  EXPECT_THAT(info.checkpoints[1].problem, HasSubstr("broken.pth"));
  EXPECT_EQ(info.missing_parts.size(), 3u);
  EXPECT_THAT(describe(info), HasSubstr("missing for a complete model: the text encoder"));
  EXPECT_THROW(inspect_model(folder / "broken.pth"), WeightsError);
  EXPECT_THROW(inspect_model(folder / "none"), WeightsError);
}

}  // namespace
}  // namespace flashblock::testing
