// flashblock_write_random_model FOLDER GEOMETRY DTYPE: a model of a published size with random weights, for measuring
// time and memory. GEOMETRY: 1.3b, 14b or 1.3b-xxl (with the UMT5-XXL encoder, 11 GB more). DTYPE: bfloat16 or float32.
#include <ATen/ops/randn.h>

#include <cmath>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/tensor_file.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/test_data.h"

namespace flashblock::testing {
namespace {

void write_random(const std::filesystem::path& file, const std::vector<NamedShape>& shapes, at::ScalarType dtype) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const auto& [name, shape] : shapes) {
    const double scale = 1 / std::sqrt(static_cast<double>(shape.size() < 2 ? 1 : shape[1]));
    tensors.emplace_back(name, at::randn(shape).mul_(scale).to(dtype));
  }
  write_tensor_file(file, tensors);
}

int write_model(const std::filesystem::path& folder, const std::string& geometry, at::ScalarType dtype) {
  const bool large = geometry == "14b", xxl = geometry == "1.3b-xxl";
  const int64_t text_dim = xxl ? 4096 : 64;
  const nlohmann::json transformer = {{"dim", large ? 5120 : 1536},
                                      {"num_heads", large ? 40 : 12},
                                      {"num_layers", large ? 40 : 30},
                                      {"ffn_dim", large ? 13824 : 8960},
                                      {"text_dim", text_dim},
                                      {"text_len", 512},
                                      {"freq_dim", 256},
                                      {"in_dim", 16},
                                      {"out_dim", 16},
                                      {"eps", 1e-6},
                                      {"patch_size", {1, 2, 2}}};
  const nlohmann::json text = {{"vocab_size", xxl ? 256384 : 2304},
                               {"dim", text_dim},
                               {"dim_attn", text_dim},
                               {"dim_ffn", xxl ? 10240 : 64},
                               {"num_heads", xxl ? 64 : 2},
                               {"num_layers", xxl ? 24 : 1},
                               {"num_buckets", 32}};
  std::filesystem::create_directories(folder);
  write_random(folder / "transformer.safetensors", transformer_shapes(transformer), dtype);
  write_random(folder / "umt5.safetensors", umt5_shapes(text), dtype);
  write_random(folder / "vae.safetensors", vae_shapes(96), dtype);
  std::ofstream(folder / "config.json") << transformer.dump();
  std::filesystem::copy_file(test_data("../../assets/demo/spiece.model"), folder / "spiece.model",
                             std::filesystem::copy_options::overwrite_existing);
  std::ofstream(folder / "model.yaml")
      << "transformer: transformer.safetensors\ntext_encoder: umt5.safetensors\ntokenizer: spiece.model\n"
         "vae: vae.safetensors\nrecipe: {frames_per_block: 3, window_frames: 21}\n"
         "defaults: {size: 832x480, fps: 16, seconds: 5}\n";
  return 0;
}

}  // namespace
}  // namespace flashblock::testing

int main(int argc, char** argv) {
  const std::string geometry = argc == 4 ? argv[2] : "", dtype = argc == 4 ? argv[3] : "";
  if ((geometry != "1.3b" && geometry != "14b" && geometry != "1.3b-xxl") ||
      (dtype != "bfloat16" && dtype != "float32")) {
    std::cerr << "usage: flashblock_write_random_model FOLDER 1.3b|14b|1.3b-xxl bfloat16|float32\n";
    return 2;
  }
  try {
    return flashblock::testing::write_model(argv[1], geometry, dtype == "float32" ? at::kFloat : at::kBFloat16);
  } catch (const std::exception& error) {
    std::cerr << "flashblock_write_random_model: error: " << error.what() << "\n";
    return 1;
  }
}
