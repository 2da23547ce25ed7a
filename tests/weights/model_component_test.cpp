// Files that hold more than the weights of one model: all models of a video, tokenizers, counters; folders that hold
// the same weights in several forms.
#include "weights/model_component.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/torch_file_writer.h"
#include "weights/tensor_file.h"
#include "weights/weight_store.h"

namespace flashblock::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

at::Tensor one() { return at::ones({1}); }

const NamedTensors kAll = {
    {"model.diffusion_model.patch_embedding.weight", at::ones({1})},
    {"model.diffusion_model.blocks.0.self_attn.q.weight", at::ones({1})},
    {"text_encoders.umt5xxl.transformer.shared.weight", at::ones({1})},
    {"text_encoders.umt5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.weight", at::ones({1})},
    {"text_encoders.umt5xxl.transformer.spiece_model", at::ones({3})},
    {"text_encoders.umt5xxl.logit_scale", at::ones({})},
    {"vae.decoder.conv1.weight", at::ones({1})},
    {"model_sampling.sigmas", at::ones({4})}};

TEST(ModelComponent, EachModelOfAFileThatHoldsAllIsFound) {
  const TemporaryFolder folder;
  const auto path = folder / "all.safetensors";
  write_tensor_file(path, kAll);
  const auto names = [&](ModelComponent component) { return WeightStore::open(path, "", component)->names(); };
  EXPECT_THAT(names(ModelComponent::kTransformer),
              ElementsAre("blocks.0.self_attn.q.weight", "patch_embedding.weight"));
  EXPECT_THAT(names(ModelComponent::kTextEncoder), ElementsAre("blocks.0.attn.q.weight", "token_embedding.weight"));
  EXPECT_THAT(names(ModelComponent::kVae), ElementsAre("decoder.conv1.weight"));
  EXPECT_EQ(WeightStore::entries(path).size(), 3u);
  EXPECT_THAT(WeightStore::open(path, "", ModelComponent::kTextEncoder)->extras(),
              ElementsAre("logit_scale", "spiece_model"));
  EXPECT_THAT(WeightStore::open(path, "", ModelComponent::kTransformer)->extras(),
              ElementsAre("model_sampling.sigmas"));
  EXPECT_EQ(WeightStore::open(path, "vae")->entry(), "vae");
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(path); }),
              HasSubstr("several sets of weights (model.diffusion_model, text_encoders.umt5xxl, vae)"));
}

TEST(ModelComponent, AFileWithoutTheModelThatIsWantedSaysWhatItHolds) {
  const TemporaryFolder folder;
  write_tensor_file(folder / "two.safetensors", {{"transformer.patch_embedding.weight", one()}, {"vae.x", one()}});
  EXPECT_THAT(error_text<WeightsError>(
                  [&] { WeightStore::open(folder / "two.safetensors", "", ModelComponent::kTextEncoder); }),
              AllOf(HasSubstr("(transformer, vae)"), HasSubstr("none of which is a text encoder")));
  write_tensor_file(
      folder / "twice.safetensors",
      {{"transformer.patch_embedding.weight", one()}, {"vae.x", one()}, {"patch_embedding.weight", one()}});
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder / "twice.safetensors"); }),
              HasSubstr("'patch_embedding.weight' occurs with and without"));
}

TEST(ModelComponent, SavedDictionariesOfModelsAreFoundByWhatTheyHold) {
  const TemporaryFolder folder;
  write_torch_file(folder / "all.pt", {{{"generator", state_dict({{"patch_embedding.weight", one()}}, "model.")},
                                        {"text", state_dict({{"token_embedding.weight", one()}})},
                                        {"decoder", state_dict({{"decoder.conv1.weight", one()}})}}});
  EXPECT_EQ(WeightStore::open(folder / "all.pt", "", ModelComponent::kVae)->entry(), "decoder");
  EXPECT_EQ(WeightStore::open(folder / "all.pt", "", ModelComponent::kTransformer)->entry(), "generator");
  write_torch_file(folder / "ema.pt", {{{"generator", state_dict({{"patch_embedding.weight", one()}}, "model.")},
                                        {"generator_ema", state_dict({{"patch_embedding.weight", one()}})}}});
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder / "ema.pt", "", ModelComponent::kTransformer); }),
              HasSubstr("(generator, generator_ema); select one with `weights:`"));
}

TEST(ModelComponent, OneModelUnderAModelsPrefixLosesIt) {
  const TemporaryFolder folder;
  write_tensor_file(folder / "vae.safetensors", {{"first_stage_model.decoder.conv1.weight", one()}});
  EXPECT_THAT(WeightStore::open(folder / "vae.safetensors")->names(), ElementsAre("decoder.conv1.weight"));
  write_tensor_file(folder / "t5.safetensors", {{"text_encoders.umt5xxl.transformer.shared.weight", one()}});
  EXPECT_THAT(WeightStore::open(folder / "t5.safetensors")->names(), ElementsAre("shared.weight"));
  EXPECT_EQ(WeightStore::open(folder / "t5.safetensors")->entry(), "");
}

TEST(ExtraTensors, KnownOnesArePassedOverAndTold) {
  const TemporaryFolder folder;
  const auto extras = [&](const NamedTensors& tensors) {
    write_tensor_file(folder / "w.safetensors", tensors);
    return WeightStore::open(folder / "w.safetensors")->extras();
  };
  EXPECT_THAT(extras({{"token_embedding.weight", one()}, {"spiece_model", one()}}), ElementsAre("spiece_model"))
      << "in Wan's names, too";
  EXPECT_THAT(extras({{"module.patch_embedding.weight", one()}, {"n_averaged", at::ones({})}}),
              ElementsAre("n_averaged"))
      << "torch.optim.swa_utils.AveragedModel";
  EXPECT_THAT(extras({{"shared.weight", one()},
                      {"encoder.block.0.layer.0.SelfAttention.q.weight", one()},
                      {"decoder.block.0.layer.0.SelfAttention.q.weight", one()},
                      {"lm_head.weight", one()}}),
              ElementsAre("decoder.block.0.layer.0.SelfAttention.q.weight", "lm_head.weight"))
      << "UMT5 with its decoder";
  EXPECT_THAT(extras({{"decoder.conv1.weight", one()}, {"loss.discriminator.main.0.weight", one()}}),
              ElementsAre("loss.discriminator.main.0.weight"));
  EXPECT_THAT(extras({{"decoder.conv1.weight", one()}, {"decoder.steps", one()}, {"stepper", one()}}), ElementsAre());
}

TEST(CheckpointFolder, SafetensorsWinAmongTheFormsOfTheSameWeights) {
  const TemporaryFolder folder;
  const auto set = [&](const std::string& name, double value) {
    write_tensor_file(folder / name, {{"a", at::full({1}, value)}});
  };
  const auto value = [&] { return WeightStore::open(folder.path())->tensor("a").item<double>(); };
  write_torch_file(folder / "pytorch_model-1.bin", state_dict({{"a", at::full({1}, 1.0)}}));
  write_bytes(folder / "pytorch_model.bin.index.json", R"({"weight_map":{"a":"pytorch_model-1.bin"}})");
  EXPECT_EQ(value(), 1);
  set("model.safetensors", 2);
  EXPECT_EQ(value(), 2) << "one file before an index of the other form";
  set("model.fp16.safetensors", 3);
  EXPECT_EQ(value(), 2) << "a variant";
  set("model-1.safetensors", 4);
  write_bytes(folder / "model.safetensors.index.json", R"({"weight_map":{"a":"model-1.safetensors"}})");
  EXPECT_EQ(value(), 4);
}

TEST(CheckpointFolder, WhatTrainersWriteBesideWeightsIsNone) {
  const TemporaryFolder folder;
  write_torch_file(folder / "pytorch_model.bin", state_dict({{"a", one()}}));
  for (const char* name : {"training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state_0.pth"})
    write_torch_file(folder / name, {{{"x", std::string("y")}}});
  EXPECT_THAT(WeightStore::open(folder.path())->names(), ElementsAre("a"));
  EXPECT_FALSE(is_weights_file("training_args.bin"));
  EXPECT_TRUE(is_weights_file("model.safetensors.index.json"));
  write_torch_file(folder / "other.bin", state_dict({{"a", one()}}));
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder.path()); }),
              HasSubstr("(other.bin, pytorch_model.bin)"));
}

}  // namespace
}  // namespace flashblock::testing
