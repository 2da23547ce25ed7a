// The table of products: what is read, chosen and refused. On a GPU, the products themselves.
#include "models/product_table.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/device.h"
#include "core/error.h"
#include "models/kernels/lt_product.h"
#include "models/layers.h"
#include "models/planned_product.h"
#include "tests/support/cuda.h"
#include "tests/support/error_text.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::error_text;
using testing::formula_data;
using ::testing::HasSubstr;

constexpr const char* kText =
    "# a comment\n"
    "NVIDIA H200 (9.0) | 130200 | bias | 4680 1536 4608 | 0 | 1 2 3 4 5 6 7 ffffffffffffffff | 96.1 98.4\n"
    "\n"
    "NVIDIA H200 (9.0) | 130200 | gelu | 4680 1536 4608 | 1024 | 8 7 6 5 4 3 2 1 | 1 2  # too\n";
const ProductShape kShape{.rows = 4680, .in = 1536, .out = 4608};

TEST(ProductTable, FindsByGpuLibraryAndShape) {
  const ProductTable table(kText, "table");
  ASSERT_EQ(table.rows().size(), 2u);
  const ProductRow* row = table.find("NVIDIA H200 (9.0)", 130200, kShape);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->algorithm, (ProductAlgorithm{1, 2, 3, 4, 5, 6, 7, ~uint64_t{0}}));
  EXPECT_EQ(row->microseconds_without, 98.4);
  ProductShape gelu = kShape;
  gelu.epilogue = ProductEpilogue::kGelu;
  EXPECT_EQ(table.find("NVIDIA H200 (9.0)", 130200, gelu)->workspace_bytes, 1024);
  ProductShape shorter = kShape;
  shorter.rows = 4679;
  EXPECT_FALSE(table.find("NVIDIA H200 (9.0)", 130200, shorter));
  EXPECT_FALSE(table.find("NVIDIA H100 (9.0)", 130200, kShape));
  EXPECT_FALSE(table.find("NVIDIA H200 (9.0)", 130300, kShape)) << "words of another version mean something else";
  EXPECT_FALSE(ProductTable().find("NVIDIA H200 (9.0)", 130200, kShape));
}

TEST(ProductTable, LinesAreReadAsTheyAreWritten) {
  const ProductTable table(kText, "table");
  std::string text;
  for (const ProductRow& row : table.rows()) text += product_line(row) + "\n";
  const ProductTable again(text, "again");
  ASSERT_EQ(again.rows().size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(again.rows()[i].shape, table.rows()[i].shape);
    EXPECT_EQ(again.rows()[i].algorithm, table.rows()[i].algorithm);
    EXPECT_EQ(product_line(again.rows()[i]), product_line(table.rows()[i]));
  }
}

TEST(ProductTable, SaysWhichLineIsWrong) {
  for (const char* line :
       {"NVIDIA H200 | 1 | bias | 1 2 3 | 0 | 1 2 3 4 5 6 7 | 1 2",
        "NVIDIA H200 | 1 | relu | 1 2 3 | 0 | 1 2 3 4 5 6 7 8 | 1 2",
        "NVIDIA H200 | 1 | bias | 0 2 3 | 0 | 1 2 3 4 5 6 7 8 | 1 2", " | 1 | bias | 1 2 3 | 0 | 1 2 3 4 5 6 7 8 | 1 2",
        "NVIDIA H200 | 1 | bias | 1 2 3 | 0 | 1 2 3 4 5 6 7 8",
        "NVIDIA H200 | 1x | bias | 1 2 3 | 0 | 1 2 3 4 5 6 7 8 | 1 2",
        "NVIDIA H200 | 1 | bias | 1 2 3 | -1 | 1 2 3 4 5 6 7 8 | 1 2", "hello"})
    EXPECT_THAT(error_text<ConfigError>([&] { ProductTable("# first\n" + std::string(line), "my.txt"); }),
                HasSubstr("my.txt:2: found '"))
        << line;
  const std::string twice =
      std::string(kText) + "NVIDIA H200 (9.0) | 130200 | bias | 4680 1536 4608 | 9 | 1 2 3 4 5 6 7 8 | 1 2";
  EXPECT_THAT(error_text<ConfigError>([&] { ProductTable(twice, "my.txt"); }), HasSubstr("my.txt:5: a second row"));
}

TEST(ProductTable, AnAlgorithmThatIsRefusedIsNotChosen) {
  const ProductTable table(kText, "table");
  int asked = 0;
  const auto answer = [&](bool usable) { return [&, usable](const ProductRow&) { return ++asked, usable; }; };
  EXPECT_TRUE(choose_product(table, "NVIDIA H200 (9.0)", 130200, kShape, answer(true)));
  EXPECT_FALSE(choose_product(table, "NVIDIA H200 (9.0)", 130200, kShape, answer(false)));
  EXPECT_EQ(asked, 2);
  EXPECT_FALSE(choose_product(table, "NVIDIA L4 (8.9)", 130200, kShape, answer(true)));
  EXPECT_EQ(asked, 2) << "there is no row to ask about";
}

TEST(ProductTable, TheOneInTheSourceTreeCanBeRead) {
  for (const ProductRow& row : built_in_product_table().rows())
    EXPECT_LT(row.microseconds, row.microseconds_without) << product_line(row);
}

TEST(ProductTable, ALayerHasFourKindsOfProducts) {
  const auto products = layer_products({.dim = 1536, .ffn_dim = 8960}, 4680);
  ASSERT_EQ(products.size(), 4u);
  EXPECT_EQ(products[0], kShape);
  EXPECT_EQ(products[2].epilogue, ProductEpilogue::kGelu);
  EXPECT_EQ(products[3].in, 8960);
}

TEST(PlannedProduct, ThereIsNoneOnACpu) {
  const Linear layer{at::ones({8, 16}).to(at::kBFloat16), at::ones({8}).to(at::kBFloat16)};
  EXPECT_FALSE(planned_product(at::ones({4, 16}).to(at::kBFloat16), layer, ProductEpilogue::kBias).defined());
  EXPECT_EQ(planned_products(at::kCPU), 0);
  EXPECT_THAT(error_text<ConfigError>([] { tune_products({kShape}, at::kCPU, {}); }), HasSubstr("on a GPU, found cpu"));
}

#ifdef FLASHBLOCK_CUDA

// All that the library proposes, and a row that it refuses.
TEST(PlannedProductCuda, ComputesWhatTheOperatorsCompute) {
  FLASHBLOCK_NEED_CUDA();
  ASSERT_GT(lt_version(), 0);
  const at::Device device(testing::kGpu);
  const auto on_gpu = [&](const at::Tensor& t) { return t.to(device, at::kBFloat16); };
  for (const bool gelu : {false, true}) {
    const int64_t rows = 200 + 8 * gelu, in = 128, out = 256;
    const at::Tensor x = on_gpu(formula_data("x", {1, rows, in}, 1));
    const Linear layer{on_gpu(formula_data("w", {out, in}, 0.2)), on_gpu(formula_data("b", {out}, 0.5))};
    const at::Tensor wide =
        at::linear(x.cpu().to(at::kDouble), layer.weight.cpu().to(at::kDouble), layer.bias.cpu().to(at::kDouble));
    const at::Tensor expected = gelu ? at::gelu(wide, "tanh") : wide;
    const ProductShape shape{
        .epilogue = gelu ? ProductEpilogue::kGelu : ProductEpilogue::kBias, .rows = rows, .in = in, .out = out};
    const at::Tensor result = at::empty({1, rows, out}, x.options());
    const LtProduct product{x.const_data_ptr(),
                            layer.weight.const_data_ptr(),
                            layer.bias.const_data_ptr(),
                            result.data_ptr(),
                            rows,
                            in,
                            out,
                            gelu};
    const std::vector<LtChoice> proposals = lt_proposals(product, 16, 32 << 20);
    ASSERT_FALSE(proposals.empty());
    for (const LtChoice& choice : proposals) {
      ASSERT_EQ(lt_workspace(product, choice.algorithm), choice.workspace_bytes);
      const at::Tensor workspace = at::empty({choice.workspace_bytes}, x.options().dtype(at::kByte));
      result.fill_(-1);
      ASSERT_TRUE(launch_lt_product(product, choice, workspace.data_ptr(), nullptr));
      EXPECT_LT(testing::relative_norm_error(result.cpu().to(at::kDouble), expected), 4e-3);
    }
    ProductRow row{.gpu = describe_device(device), .library = lt_version(), .shape = shape};
    row.algorithm = proposals.back().algorithm;
    use_product_table(ProductTable(product_line(row), "test"));
    EXPECT_EQ(planned_products(device), 1);
    const at::Tensor planned = planned_product(x, layer, shape.epilogue);
    ASSERT_TRUE(planned.defined());
    EXPECT_LT(testing::relative_norm_error(planned.cpu().to(at::kDouble), expected), 4e-3);
    EXPECT_TENSORS_IDENTICAL((gelu ? linear_gelu(x, layer) : linear(x, layer)).cpu(), planned.cpu());
    // Words that mean no algorithm, for a product that has not been asked for yet.
    row.shape.rows = 64;
    row.algorithm.fill(~uint64_t{0});
    use_product_table(ProductTable(product_line(row), "test"));
    const at::Tensor few = x.narrow(1, 0, 64);
    EXPECT_FALSE(planned_product(few, layer, shape.epilogue).defined());
    EXPECT_TRUE((gelu ? linear_gelu(few, layer) : linear(few, layer)).isfinite().all().item<bool>());
  }
  use_product_table(built_in_product_table());
}

#endif

}  // namespace
}  // namespace flashblock
