// flashblock_write_random_model FOLDER GEOMETRY DTYPE [WEIGHTS]: a model of a published size for measuring time and
// memory. GEOMETRY: 1.3b, 14b or 5b (with a text encoder of one layer), 1.3b-xxl (with UMT5-XXL, 11 GB more), tiny or
// tiny-48, to try a script. 5b and tiny-48 have 48 latent channels and the recipe of LongLive 2. Beside model.yaml is
// small.yaml, the same with the small decoder, TAEHV. DTYPE: bfloat16 or float32. WEIGHTS: formula
// (tests/support/formula_weights.h, the default), the same on every machine, with sharp attention; or normal, of
// variance 1 / inputs, with the even attention of a model that has not been trained. The tokenizer is the demo model's.
#include <ATen/ops/randn.h>

#include <cmath>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/formula_checkpoint.h"
#include "tests/support/test_data.h"
#include "weights/tensor_file.h"

namespace flashblock::testing {
namespace {

using nlohmann::json;

struct Geometry {
  int64_t dim, heads, layers, ffn;          // of the transformer
  int64_t text_dim, text_layers, text_ffn;  // of the text encoder
  int64_t vocabulary;
  int64_t vae_width;
  int64_t latent_channels = 16;  // 48: with the VAE of Wan2.2, whose decoder is 1.6 times as wide as its encoder
};

// Source: Wan2.1 `wan/configs/wan_t2v_1_3B.py`, `wan_t2v_14B.py`, `wan/modules/t5.py` (umt5_xxl);
// Wan2.2 `wan/configs/wan_ti2v_5B.py`.
const std::map<std::string, Geometry> kGeometries = {{"tiny", {128, 1, 2, 256, 64, 2, 96, 2304, 8}},
                                                     {"1.3b", {1536, 12, 30, 8960, 4096, 1, 10240, 2304, 96}},
                                                     {"1.3b-xxl", {1536, 12, 30, 8960, 4096, 24, 10240, 256384, 96}},
                                                     {"14b", {5120, 40, 40, 13824, 4096, 1, 10240, 2304, 96}},
                                                     {"5b", {3072, 24, 30, 14336, 4096, 1, 10240, 2304, 160, 48}},
                                                     {"tiny-48", {128, 1, 2, 256, 64, 2, 96, 2304, 10, 48}}};

constexpr const char* kSelfForcingRecipe =
    "recipe: {frames_per_block: 3, window_frames: 21}\ndefaults: {size: 832x480, fps: 16, seconds: 5}\n";
/// Source: configs/models/longlive-2-5b.yaml.
constexpr const char* kLongLive2Recipe =
    "recipe: {frames_per_block: 8, window_frames: 32, sink_frames: 8, image_in_first_block: true,\n"
    "         shot_offset_frames: 8, timestep_shift: 5.0, unipc_steps: 4, context_noise: 0, kv_recache: false,\n"
    "         guidance_scale: 1.0}\ndefaults: {size: 1280x704, fps: 24, seconds: 10}\n";

enum class Weights { kFormula, kNormal };

at::Tensor make(Weights weights, const std::string& name, const std::vector<int64_t>& shape) {
  if (weights == Weights::kFormula) return formula_tensor(name, shape);
  return at::randn(shape).mul_(1 / std::sqrt(static_cast<double>(shape.size() < 2 ? 1 : shape[1])));
}

// Converts one tensor after another, so that memory holds the model once.
void write_weights(const std::filesystem::path& file, const std::vector<NamedShape>& shapes, at::ScalarType dtype,
                   Weights weights) {
  NamedTensors tensors;
  for (const auto& [name, shape] : shapes) tensors.emplace_back(name, make(weights, name, shape).to(dtype));
  write_tensor_file(file, tensors);
}

int write_model(const std::filesystem::path& folder, const Geometry& geometry, at::ScalarType dtype, Weights weights) {
  const json transformer = {{"dim", geometry.dim},
                            {"num_heads", geometry.heads},
                            {"num_layers", geometry.layers},
                            {"ffn_dim", geometry.ffn},
                            {"text_dim", geometry.text_dim},
                            {"text_len", 512},
                            {"freq_dim", 256},
                            {"in_dim", geometry.latent_channels},
                            {"out_dim", geometry.latent_channels},
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
  write_weights(folder / "transformer.safetensors", transformer_shapes(transformer), dtype, weights);
  write_weights(folder / "umt5.safetensors", umt5_shapes(text), dtype, weights);
  const bool wan22 = geometry.latent_channels == 48;
  write_weights(
      folder / "vae.safetensors",
      wan22 ? wan22_vae_shapes(geometry.vae_width, geometry.vae_width * 8 / 5) : vae_shapes(geometry.vae_width), dtype,
      weights);
  write_weights(folder / "taehv.safetensors", wan22 ? taehv22_shapes() : taehv_shapes(), dtype, weights);
  std::ofstream(folder / "config.json") << transformer.dump();
  std::filesystem::copy_file(test_data("../../assets/demo/spiece.model"), folder / "spiece.model",
                             std::filesystem::copy_options::overwrite_existing);
  for (const auto& [name, vae] : {std::pair{"model.yaml", "vae"}, {"small.yaml", "taehv"}})
    std::ofstream(folder / name) << "transformer: transformer.safetensors\ntext_encoder: umt5.safetensors\n"
                                 << "tokenizer: spiece.model\nvae: " << vae << ".safetensors\n"
                                 << (wan22 ? kLongLive2Recipe : kSelfForcingRecipe);
  return 0;
}

}  // namespace
}  // namespace flashblock::testing

int main(int argc, char** argv) {
  using namespace flashblock::testing;
  const bool complete = argc == 4 || argc == 5;
  const auto geometry = kGeometries.find(complete ? argv[2] : "");
  const std::string dtype = complete ? argv[3] : "", weights = argc == 5 ? argv[4] : "formula";
  if (geometry == kGeometries.end() || (dtype != "bfloat16" && dtype != "float32") ||
      (weights != "formula" && weights != "normal")) {
    std::cerr
        << "usage: flashblock_write_random_model FOLDER GEOMETRY bfloat16|float32 [formula|normal]\nGEOMETRY is one of";
    for (const auto& [name, sizes] : kGeometries) std::cerr << " " << name;
    std::cerr << "\n";
    return 2;
  }
  try {
    return write_model(argv[1], geometry->second, dtype == "float32" ? at::kFloat : at::kBFloat16,
                       weights == "normal" ? Weights::kNormal : Weights::kFormula);
  } catch (const std::exception& error) {
    std::cerr << "flashblock_write_random_model: error: " << error.what() << "\n";
    return 1;
  }
}
