// flashblock_write_random_model FOLDER GEOMETRY DTYPE: a model of a published size for measuring time and memory. Its
// weights look random and are those of the formula (tests/support/formula_weights.h), so that they are the same on
// every machine. GEOMETRY: 1.3b or 14b (with a text encoder of one layer), 1.3b-xxl (with UMT5-XXL, 11 GB more), or
// tiny, to try a script. DTYPE: bfloat16 or float32. The tokenizer is the demo model's.
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/tensor_file.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/test_data.h"

namespace flashblock::testing {
namespace {

using nlohmann::json;

struct Geometry {
  int64_t dim, heads, layers, ffn;          // of the transformer
  int64_t text_dim, text_layers, text_ffn;  // of the text encoder
  int64_t vocabulary;
  int64_t vae_width;
};

// Source: Wan2.1 `wan/configs/wan_t2v_1_3B.py`, `wan_t2v_14B.py`, `wan/modules/t5.py` (umt5_xxl).
const std::map<std::string, Geometry> kGeometries = {{"tiny", {128, 1, 2, 256, 64, 2, 96, 2304, 8}},
                                                     {"1.3b", {1536, 12, 30, 8960, 4096, 1, 10240, 2304, 96}},
                                                     {"1.3b-xxl", {1536, 12, 30, 8960, 4096, 24, 10240, 256384, 96}},
                                                     {"14b", {5120, 40, 40, 13824, 4096, 1, 10240, 2304, 96}}};

// One tensor after the other in its dtype, so that memory holds the model once.
void write_weights(const std::filesystem::path& file, const std::vector<NamedShape>& shapes, at::ScalarType dtype) {
  NamedTensors tensors;
  for (const auto& [name, shape] : shapes) tensors.emplace_back(name, formula_tensor(name, shape).to(dtype));
  write_tensor_file(file, tensors);
}

int write_model(const std::filesystem::path& folder, const Geometry& geometry, at::ScalarType dtype) {
  const json transformer = {{"dim", geometry.dim},
                            {"num_heads", geometry.heads},
                            {"num_layers", geometry.layers},
                            {"ffn_dim", geometry.ffn},
                            {"text_dim", geometry.text_dim},
                            {"text_len", 512},
                            {"freq_dim", 256},
                            {"in_dim", 16},
                            {"out_dim", 16},
                            {"eps", 1e-6},
                            {"patch_size", {1, 2, 2}}};
  const json text = {{"vocab_size", geometry.vocabulary},
                     {"dim", geometry.text_dim},
                     {"dim_attn", geometry.text_dim},
                     {"dim_ffn", geometry.text_ffn},
                     {"num_heads", geometry.text_dim / 64},
                     {"num_layers", geometry.text_layers},
                     {"num_buckets", 32}};
  std::filesystem::create_directories(folder);
  write_weights(folder / "transformer.safetensors", transformer_shapes(transformer), dtype);
  write_weights(folder / "umt5.safetensors", umt5_shapes(text), dtype);
  write_weights(folder / "vae.safetensors", vae_shapes(geometry.vae_width), dtype);
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
  using namespace flashblock::testing;
  const auto geometry = kGeometries.find(argc == 4 ? argv[2] : "");
  const std::string dtype = argc == 4 ? argv[3] : "";
  if (geometry == kGeometries.end() || (dtype != "bfloat16" && dtype != "float32")) {
    std::cerr << "usage: flashblock_write_random_model FOLDER tiny|1.3b|1.3b-xxl|14b bfloat16|float32\n";
    return 2;
  }
  try {
    return write_model(argv[1], geometry->second, dtype == "float32" ? at::kFloat : at::kBFloat16);
  } catch (const std::exception& error) {
    std::cerr << "flashblock_write_random_model: error: " << error.what() << "\n";
    return 1;
  }
}
