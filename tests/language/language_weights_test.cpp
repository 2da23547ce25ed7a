// Checkpoints of language models: shards, tied heads, mapped files, synthetic weights.
#include "language/language_weights.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "language/language_model.h"
#include "tests/language/language_cases.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "weights/tensor_file.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;

const nlohmann::json kConfig = {{"model_type", "sdar"},     {"vocab_size", 96},       {"hidden_size", 48},
                                {"intermediate_size", 80},  {"num_hidden_layers", 2}, {"num_attention_heads", 4},
                                {"num_key_value_heads", 2}, {"head_dim", 32},         {"block_size", 4},
                                {"mask_token_id", 95},      {"eos_token_id", 94}};

LanguageConfig sizes(bool tied = false) {
  nlohmann::json config = kConfig;
  config["tie_word_embeddings"] = tied;
  return language_config_from_json(config.dump(), "test");
}

// Two shards and their index, as large models are published.
void write_shards(const std::filesystem::path& folder, const std::map<std::string, at::Tensor>& tensors) {
  NamedTensors shards[2];
  nlohmann::json index;
  for (const auto& [name, tensor] : tensors) {
    const size_t shard = name.find("layers.1") == std::string::npos ? 0 : 1;
    shards[shard].emplace_back(name, tensor);
    index["weight_map"][name] = "model-0000" + std::to_string(shard + 1) + "-of-00002.safetensors";
  }
  for (size_t i = 0; i < 2; ++i)
    write_tensor_file(folder / ("model-0000" + std::to_string(i + 1) + "-of-00002.safetensors"), shards[i]);
  std::ofstream(folder / "model.safetensors.index.json") << index.dump();
  std::ofstream(folder / "tokenizer.json") << "{}";
}

TEST(LanguageWeights, ShardsOfAFolderLoadAsPublished) {
  const TemporaryFolder folder;
  const auto tensors = language_formula_tensors(kConfig, 8);
  write_shards(folder.path(), tensors);
  const auto store = WeightStore::open(folder.path());
  const auto model = LanguageModel::load(store, sizes(), at::kCPU, at::kFloat);
  const auto expected = small_language_model();
  const at::Tensor block = some_ids(4, 90, 1);
  LanguageState state = model->make_state({.max_tokens = 8}), other = expected->make_state({.max_tokens = 8});
  EXPECT_TENSORS_IDENTICAL(model->pass(state, block, Pass::denoise(0)), expected->pass(other, block, Pass::denoise(0)));
}

TEST(LanguageWeights, InTheFilesDtypeNothingIsCopied) {
  const TemporaryFolder folder;
  write_shards(folder.path(), language_formula_tensors(kConfig, 8));
  const auto store = WeightStore::open(folder.path());
  const LanguageLayer layer =
      load_language_layer(*store, sizes(), 1, at::kCPU, at::kFloat, ProjectionStorage::kSeparate);
  ASSERT_EQ(layer.qkv.size(), 3u);
  EXPECT_EQ(layer.qkv[1].const_data_ptr(), store->tensor("layers.1.self_attn.k_proj.weight").const_data_ptr());
  EXPECT_EQ(layer.down.const_data_ptr(), store->tensor("layers.1.mlp.down_proj.weight").const_data_ptr());
  const LanguageEnds ends = load_language_ends(*store, sizes(), at::kCPU, at::kFloat);
  EXPECT_EQ(ends.embedding.const_data_ptr(), store->tensor("embed_tokens.weight").const_data_ptr());
}

TEST(LanguageWeights, JoinedProjectionsHoldTheSameRows) {
  const auto store = WeightStore::from_tensors(language_formula_tensors(kConfig, 8));
  const auto load = [&](ProjectionStorage storage) {
    return load_language_layer(*store, sizes(), 0, at::kCPU, at::kFloat, storage);
  };
  const LanguageLayer joined = load(ProjectionStorage::kJoined), separate = load(ProjectionStorage::kSeparate);
  EXPECT_TENSORS_IDENTICAL(joined.qkv.at(0), at::cat(separate.qkv));
  EXPECT_TENSORS_IDENTICAL(joined.gate_up.at(0), at::cat(separate.gate_up));
}

TEST(LanguageWeights, ATiedHeadIsTheEmbedding) {
  auto tensors = language_formula_tensors(kConfig, 8);
  const LanguageEnds stored =
      load_language_ends(*WeightStore::from_tensors(tensors), sizes(true), at::kCPU, at::kFloat);
  EXPECT_TRUE(stored.head.is_same(stored.embedding)) << "also where it is stored besides";
  EXPECT_NO_THROW(check_language_weights(*WeightStore::from_tensors(tensors), sizes(true)));
  tensors.erase("lm_head.weight");
  EXPECT_NO_THROW(check_language_weights(*WeightStore::from_tensors(tensors), sizes(true)));
  EXPECT_THAT(error_text<WeightsError>([&] { check_language_weights(*WeightStore::from_tensors(tensors), sizes()); }),
              HasSubstr("missing 'lm_head.weight'"));
}

TEST(LanguageWeights, WhatDoesNotFitIsListed) {
  auto tensors = language_formula_tensors(kConfig, 8);
  tensors.erase("model.layers.1.mlp.up_proj.weight");
  tensors["model.layers.0.self_attn.q_proj.bias"] = at::zeros({128});
  tensors["model.norm.weight"] = at::ones({47});
  const std::string text =
      error_text<WeightsError>([&] { check_language_weights(*WeightStore::from_tensors(tensors), sizes()); });
  EXPECT_THAT(text, HasSubstr("missing 'layers.1.mlp.up_proj.weight'"));
  EXPECT_THAT(text, HasSubstr("unexpected 'layers.0.self_attn.q_proj.bias'"));
  EXPECT_THAT(text, HasSubstr("'norm.weight' has the shape [47]"));
}

}  // namespace
}  // namespace flashblock
