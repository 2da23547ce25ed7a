// Scaled float8 and GGUF, as converters write them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/mapped_file.h"
#include "tests/support/error_text.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/test_data.h"
#include "tests/support/torch_file_writer.h"
#include "weights/gguf_blocks.h"
#include "weights/tensor_file.h"
#include "weights/weight_store.h"

namespace flashblock::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string bytes_text(const at::Tensor& bytes) {
  return {static_cast<const char*>(bytes.const_data_ptr()), static_cast<size_t>(bytes.numel())};
}

class QuantisedFile : public ::testing::Test {
 protected:
  std::shared_ptr<const WeightStore> open(const NamedTensors& tensors,
                                          const std::map<std::string, std::string>& metadata = {}) const {
    write_tensor_file(folder_ / "w.safetensors", tensors, metadata);
    return WeightStore::open(folder_ / "w.safetensors");
  }
  std::string refusal(const NamedTensors& tensors) const {
    return error_text<WeightsError>([&] { open(tensors); });
  }
  std::string gguf_refusal(const std::string& bytes) const {
    write_bytes(folder_ / "w.gguf", bytes);
    return error_text<WeightsError>([&] { WeightStore::open(folder_ / "w.gguf"); });
  }

  TemporaryFolder folder_;
};

TEST_F(QuantisedFile, ScaledFloat8HasTheRecordedValues) {
  const auto expected = parity_data("fp8_comfy_expected");
  for (const std::string file : {"e4m3fn", "e5m2", "new"}) {
    const auto store = parity_data("fp8_comfy_" + file);
    for (const std::string name : {"blocks.0.self_attn.q.weight", "blocks.0.ffn.0.weight"}) {
      EXPECT_EQ(store->dtype(name), at::kFloat);
      EXPECT_TENSORS_IDENTICAL(store->tensor(name), expected->tensor(file + "." + name)) << file << ' ' << name;
    }
    for (const std::string& name : store->names())
      EXPECT_TRUE(name.ends_with(".weight") || name.ends_with(".bias")) << file << ' ' << name;
  }
}

at::Tensor float8_ones() { return at::ones({3, 2}).to(at::kFloat8_e4m3fn); }

TEST_F(QuantisedFile, Float8TakesOneScaleOrOnePerRowUnderAnyPrefix) {
  const std::string front = "model.diffusion_model.";
  const auto store = open({{front + "a.weight", float8_ones()},
                           {front + "a.scale_weight", at::tensor({1.0F, 2.0F, 3.0F}).unsqueeze(1)},
                           {front + "b.weight", float8_ones()},
                           {front + "scaled_fp8", at::ones({0}).to(at::kFloat8_e4m3fn)}});
  EXPECT_THAT(store->names(), ElementsAre("a.weight", "b.weight"));
  EXPECT_TENSORS_IDENTICAL(store->tensor("a.weight"), at::tensor({1.0F, 1.0F, 2.0F, 2.0F, 3.0F, 3.0F}).view({3, 2}));
  EXPECT_EQ(store->dtype("b.weight"), at::kFloat8_e4m3fn) << "without a scale it is plain float8";
}

TEST_F(QuantisedFile, OtherFormatsAndScalesThatDoNotFitAreRefused) {
  EXPECT_THAT(refusal({{"a.weight", float8_ones()}, {"a.weight_scale", at::ones({2})}}),
              HasSubstr("3 rows and 2 scales"));
  const std::string json = R"({"format": "int8_tensorwise"})";
  const at::Tensor text = at::tensor(std::vector<uint8_t>(json.begin(), json.end()), at::kByte);
  EXPECT_THAT(refusal({{"a.weight", float8_ones()}, {"a.weight_scale", at::ones({1})}, {"a.comfy_quant", text}}),
              AllOf(HasSubstr("'a'"), HasSubstr("int8_tensorwise")));
  EXPECT_THAT(refusal({{"a.weight", at::ones({3, 2}).to(at::kChar)}, {"a.weight_scale", at::ones({3})}}),
              HasSubstr("a.weight_scale"));
}

TEST_F(QuantisedFile, ChangesApplyToTheUnpackedValues) {
  const auto store = open({{"a.weight", float8_ones()}, {"a.weight_scale", at::tensor({2.0F})}});
  const auto changed = store->with_changes({{"a.weight", [](const at::Tensor& weight) { return weight + 1; }}})
                           ->with_changes({{"a.weight", [](const at::Tensor& weight) { return weight * 10; }}});
  EXPECT_EQ(changed->tensor("a.weight")[0][0].item<float>(), 30);
}

TEST_F(QuantisedFile, GgufBlocksHaveTheValuesOfGgml) {
  const auto data = parity_data("gguf_blocks");
  std::vector<GgufEntry> entries;
  for (uint32_t number = 0; number < 40; ++number) {
    const GgufType* type = find_gguf_type(number);
    if (!type || !data->contains("bytes." + std::string(type->name))) continue;
    const std::string name(type->name);
    entries.push_back({name, data->shape("values." + name), number, bytes_text(data->tensor("bytes." + name))});
  }
  ASSERT_EQ(entries.size(), 11U);
  write_gguf(folder_ / "w.gguf", entries);
  const auto store = WeightStore::open(folder_ / "w.gguf");
  EXPECT_EQ(store->metadata().at("general.architecture"), "wan");
  for (const GgufEntry& entry : entries)
    EXPECT_TENSORS_IDENTICAL(store->tensor(entry.name).to(at::kFloat), data->tensor("values." + entry.name))
        << entry.name;
}

TEST_F(QuantisedFile, GgufKeepsShapesAndAlignment) {
  const at::Tensor patch = formula_data("patch", {4, 2, 1, 2, 2}, 1.0), flat = patch.view({4, 8});
  write_gguf(folder_ / "w.gguf",
             {gguf_entry("patch_embedding.weight", patch, 0), gguf_entry("odd", flat.narrow(0, 0, 3), 1),
              gguf_entry("folded", flat, 30)},
             {}, {{"folded", {4, 2, 1, 2, 2}}}, 64);
  const auto store = WeightStore::open(folder_ / "w.gguf");
  EXPECT_TENSORS_IDENTICAL(store->tensor("patch_embedding.weight"), patch);
  EXPECT_TENSORS_IDENTICAL(store->tensor("odd"), flat.narrow(0, 0, 3).to(at::kHalf));
  EXPECT_TENSORS_IDENTICAL(store->tensor("folded"), patch.to(at::kBFloat16));
}

TEST_F(QuantisedFile, DamagedGgufIsRefused) {
  write_gguf(folder_ / "sound.gguf", {gguf_entry("a", at::ones({2, 32}), 8)});
  std::string sound;
  {
    const auto file = MappedFile::open(folder_ / "sound.gguf");
    sound.assign(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  }
  for (size_t length = 5; length + 28 < sound.size(); length += 7)  // the last 28 bytes are padding
    EXPECT_NE(gguf_refusal(sound.substr(0, length)), "") << length;
  std::string old = sound;
  old[4] = 1;
  EXPECT_THAT(gguf_refusal(old), HasSubstr("version 1"));
  write_gguf(folder_ / "w.gguf", {gguf_entry("a", at::ones({2, 32}), 8), gguf_entry("a", at::ones({2, 32}), 8)});
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder_ / "w.gguf"); }), HasSubstr("twice"));
  write_gguf(folder_ / "w.gguf", {{"a", {2, 32}, 19, "x"}});
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder_ / "w.gguf"); }), HasSubstr("GGUF type 19"));
  write_gguf(folder_ / "w.gguf", {{"a", {2, 33}, 8, "x"}});
  EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder_ / "w.gguf"); }), HasSubstr("whole blocks"));
}

}  // namespace
}  // namespace flashblock::testing
