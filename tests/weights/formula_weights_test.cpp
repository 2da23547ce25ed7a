#include "tests/support/formula_weights.h"

#include <ATen/ops/sum.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/formula_checkpoint.h"
#include "tests/support/test_data.h"

namespace flashblock::testing {
namespace {

TEST(FormulaWeights, HasTheCheckValues) {
  const auto checks = nlohmann::json::parse(std::ifstream(test_data("parity/check_values.json")));
  int checked = 0;
  for (const auto& [name, check] : checks.items()) {
    if (!check.is_object()) continue;
    const auto tensor = formula_tensor(name, check.at("shape").get<std::vector<int64_t>>());
    const float* values = tensor.const_data_ptr<float>();
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(values[i], check["first"][i].get<float>()) << name;
    EXPECT_EQ(values[tensor.numel() - 1], check["last"].get<float>()) << name;
    EXPECT_NEAR(tensor.sum(at::kDouble).item<double>(), check["sum"].get<double>(), 1e-6) << name;
    ++checked;
  }
  EXPECT_EQ(checked, 7);
  EXPECT_EQ(fnv1a("public/v1/head.head.bias"), 0x342f050d629aa160u);
}

int64_t parameters(const std::vector<NamedShape>& shapes) {
  int64_t total = 0;
  for (const auto& [name, shape] : shapes) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    total += count;
  }
  return total;
}

// Counts of the published models: Wan2.1 T2V-1.3B, Wan2.1 VAE, UMT5-XXL encoder, TAEHV.
TEST(FormulaCheckpoint, HasTheTensorsOfThePublishedModels) {
  const auto data = parity_data("dit_1.3b");
  const auto transformer = transformer_shapes(parity_config(*data));
  EXPECT_EQ(transformer.size(), 825u);
  EXPECT_EQ(parameters(transformer), 1'418'996'800);
  EXPECT_EQ(vae_shapes(96).size(), 194u);
  EXPECT_EQ(parameters(vae_shapes(96)), 126'892'531);
  EXPECT_EQ(parameters(wan22_vae_shapes(160, 256)), 704'688'668);
  const nlohmann::json umt5 = {{"vocab_size", 256384}, {"dim", 4096},      {"dim_attn", 4096}, {"dim_ffn", 10240},
                               {"num_heads", 64},      {"num_layers", 24}, {"num_buckets", 32}};
  EXPECT_EQ(umt5_shapes(umt5).size(), 242u);
  EXPECT_EQ(parameters(umt5_shapes(umt5)), 5'680'910'336);
  EXPECT_EQ(taehv_shapes().size(), 128u);
  EXPECT_EQ(parameters(taehv_shapes()), 11'315'539);
}

}  // namespace
}  // namespace flashblock::testing
