#include "tests/support/model_folder_writer.h"

#include <gmock/gmock.h>

#include "tests/support/formula_checkpoint.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/test_data.h"
#include "tests/support/torch_file_writer.h"
#include "weights/weight_store.h"

namespace flashblock::testing {
namespace {

using ::testing::HasSubstr;

TEST(ModelFolderWriter, WritesTheModelOfAPipelineFile) {
  const TemporaryFolder folder;
  write_model_folder(test_data("parity/pipeline_window9_sink3.safetensors"), folder / "model");
  const auto transformer = WeightStore::open(folder / "model/transformer.pt", "generator_ema");
  EXPECT_TENSORS_IDENTICAL(transformer->tensor("blocks.1.ffn.0.weight"),
                           formula_tensor("blocks.1.ffn.0.weight", {256, 192}));
  EXPECT_EQ(transformer->names().size(), 2 * 27 + 15u);
  const auto other = WeightStore::open(folder / "model/transformer.pt", "generator");
  EXPECT_FALSE(tensors_identical(other->tensor("head.head.bias"), transformer->tensor("head.head.bias")));
  EXPECT_EQ(WeightStore::open(folder / "model/vae.pth")->names().size(), 194u);
  const std::string yaml = read_bytes(folder / "model/model.yaml");
  EXPECT_THAT(yaml, HasSubstr("steps: [1000,750,500,250]"));
  EXPECT_THAT(yaml, HasSubstr("sink_frames: 3"));
  EXPECT_THAT(yaml, HasSubstr("size: 80x48"));
  EXPECT_THAT(read_bytes(folder / "model/config.json"), HasSubstr("\"num_heads\": 3"));
}

}  // namespace
}  // namespace flashblock::testing
