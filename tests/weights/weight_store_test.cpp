#include "weights/weight_store.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/torch_file_writer.h"
#include "weights/tensor_file.h"

namespace flashblock::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

SavedDict weights(float value, const std::string& prefix) {
  return state_dict({{"head.weight", at::full({2, 2}, value)}, {"head.bias", at::full({2}, value)}}, prefix);
}

TEST(WeightStore, StripsPrefixesOfTrainingWrappers) {
  EXPECT_EQ(strip_wrapper_prefixes("model._fsdp_wrapped_module.blocks.0.ffn.0.weight"), "blocks.0.ffn.0.weight");
  EXPECT_EQ(strip_wrapper_prefixes("model.blocks.0._checkpoint_wrapped_module.norm3.bias"), "blocks.0.norm3.bias");
  EXPECT_EQ(strip_wrapper_prefixes("_orig_mod.model.head.head.weight"), "head.head.weight");
  EXPECT_EQ(strip_wrapper_prefixes("model.diffusion_model.patch_embedding.bias"), "patch_embedding.bias");
  EXPECT_EQ(strip_wrapper_prefixes("transformer.proj_out.bias"), "proj_out.bias");
  EXPECT_EQ(strip_wrapper_prefixes("base_model.model.model.blocks.0.self_attn.q.lora_A.weight"),
            "blocks.0.self_attn.q.lora_A.weight");
  EXPECT_EQ(strip_wrapper_prefixes("decoder.model.weight"), "decoder.model.weight");
}

TEST(WeightStore, SelectsTheNamedEntry) {
  const TemporaryFolder folder;
  const auto path = folder / "self_forcing.pt";
  write_torch_file(path, {{{"generator", weights(1, "model.")},
                           {"generator_ema", weights(2, "model._fsdp_wrapped_module.")},
                           {"step", int64_t{600}},
                           {"config", std::string("yaml")},
                           {"counter", at::ones({})}}});
  const auto entries = WeightStore::entries(path);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].name, "generator_ema");
  EXPECT_EQ(entries[1].tensors, 2);
  EXPECT_EQ(entries[1].parameters, 6);

  const auto store = WeightStore::open(path, "generator_ema");
  EXPECT_THAT(store->names(), ElementsAre("head.bias", "head.weight"));
  EXPECT_EQ(store->tensor("head.weight")[1][1].item<float>(), 2.0f);
  EXPECT_EQ(store->entry(), "generator_ema");
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(path); }),
              AllOf(HasSubstr("generator, generator_ema"), HasSubstr("weights:"), HasSubstr("self_forcing.pt")));
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(path, "critic"); }),
              AllOf(HasSubstr("no entry 'critic'"), HasSubstr("generator, generator_ema")));
}

TEST(WeightStore, SelectsTheOnlyEntryByDefault) {
  const TemporaryFolder folder;
  write_torch_file(folder / "w.pt", {{{"state", SavedDict{{{"model", weights(3, "")}}}}, {"epoch", int64_t{1}}}});
  EXPECT_EQ(WeightStore::open(folder / "w.pt")->entry(), "state.model");
  EXPECT_EQ(WeightStore::open(folder / "w.pt", "state.model")->names().size(), 2u);
  write_torch_file(folder / "flat.pt", weights(4, "model."));
  EXPECT_EQ(WeightStore::open(folder / "flat.pt")->entry(), "");
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder / "flat.pt", "generator"); }),
              HasSubstr("leave out `weights:`"));
}

TEST(WeightStore, RefusesNamesThatBecomeEqual) {
  const TemporaryFolder folder;
  const at::Tensor one = at::ones({1});
  write_tensor_file(folder / "w.safetensors", {{"model.a", one}, {"a", one}});
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder / "w.safetensors"); }), HasSubstr("twice"));
}

TEST(WeightStore, ReadsShardsAndFolders) {
  const TemporaryFolder folder;
  write_tensor_file(folder / "w-00001-of-00002.safetensors", {{"a", at::full({2}, 1.0)}});
  write_tensor_file(folder / "w-00002-of-00002.safetensors", {{"b", at::full({2}, 2.0)}});
  const auto index = folder / "w.safetensors.index.json";
  write_bytes(index, R"({"metadata":{"total_size":16},"weight_map":{"a":"w-00001-of-00002.safetensors",)"
                     R"("b":"w-00002-of-00002.safetensors"}})");
  for (const auto& path : {index, folder.path()}) {
    const auto store = WeightStore::open(path);
    EXPECT_THAT(store->names(), ElementsAre("a", "b"));
    EXPECT_EQ(store->files().size(), 2u);
    EXPECT_EQ(store->tensor("b")[0].item<float>(), 2.0f);
  }
  write_bytes(index, R"({"weight_map":{"a":"w-00001-of-00002.safetensors","c":"w-00002-of-00002.safetensors"}})");
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(index); }), HasSubstr("'c' is not in"));
  write_bytes(index, R"({"weight_map":{"a":"../w-00001-of-00002.safetensors"}})");
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(index); }), HasSubstr("not in its folder"));
  write_bytes(index, R"({"weight_map":{"a":"gone.safetensors"}})");
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(index); }), HasSubstr("gone.safetensors"));
  for (const char* text : {"", "[1]", "{}", R"({"weight_map":{}})", R"({"weight_map":{"a":1}})", "{\"weight_map\":"})
    EXPECT_THAT((write_bytes(index, text), error_text<WeightsError>([&] { WeightStore::open(index); })),
                HasSubstr("weight_map"));
}

TEST(WeightStore, SaysWhatIsWrongWithPathsAndFolders) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder / "none.pt"); }), HasSubstr("no such file"));
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder.path()); }), HasSubstr("contains no weights"));
  write_tensor_file(folder / "a.safetensors", {{"a", at::ones({1})}});
  write_tensor_file(folder / "b.safetensors", {{"b", at::ones({1})}});
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder.path()); }),
              HasSubstr("(a.safetensors, b.safetensors)"));
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder / "a.safetensors")->tensor("z"); }),
              AllOf(HasSubstr("'z'"), HasSubstr("a.safetensors")));
}

}  // namespace
}  // namespace flashblock::testing
