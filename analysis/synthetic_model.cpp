#include "analysis/synthetic_model.h"

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>

#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/html_page.h"
#include "core/sha256.h"
#include "weights/published_shapes.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

constexpr const char* kDemo = "demo";
constexpr const char* kLongLive2 = "longlive-2-5b";
constexpr int64_t kWan22Channels = 48, kWan21VaeWidth = 96, kWan22VaeWidth = 160;
constexpr const char* kTokenEmbedding = "token_embedding.weight";
constexpr int64_t kVocabulary = 256384;  // of UMT5
constexpr int64_t kTextHeadWidth = 64;

const std::array<ModelGeometry, 5>& published_geometries() {
  static const ModelGeometry wan22{.width = 3072,
                                   .layers = 30,
                                   .heads = 24,
                                   .ffn = 14336,
                                   .latent_channels = kWan22Channels,
                                   .vae_width = kWan22VaeWidth};
  const auto named = [](const char* name, ModelGeometry geometry) {
    geometry.name = name;
    return geometry;
  };
  static const std::array<ModelGeometry, 5> all = {{
      {.name = "wan2.1-1.3b", .width = 1536, .layers = 30, .heads = 12, .ffn = 8960},
      {.name = "wan2.1-14b", .width = 5120, .layers = 40, .heads = 40, .ffn = 13824},
      named("wan2.2-5b", wan22),
      named(kLongLive2, wan22),
      {.name = kDemo,
       .width = 320,
       .layers = 8,
       .heads = 5,
       .ffn = 960,
       .text_width = 256,
       .text_length = 64,
       .text_layers = 2,
       .text_ffn = 448,
       .vae_width = 16},
  }};
  return all;
}

[[noreturn]] void refuse(const std::string& text, const std::string& found) {
  throw ConfigError("geometry " + text + ": " + found +
                    "; wanted wan2.1-1.3b, wan2.1-14b, wan2.2-5b, longlive-2-5b, demo, or sizes as in "
                    "width=1536,layers=30,heads=12,ffn=8960 (and text=4096,text_length=512,channels=16,vae=96)");
}

int64_t read_size(const std::string& text, const std::string& value) {
  constexpr int64_t kLargest = 100'000;
  int64_t size = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), size);
  if (error != std::errc() || end != value.data() + value.size() || size < 1 || size > kLargest)
    refuse(text, "found '" + value + "', wanted a number from 1 to 100000");
  return size;
}

ModelGeometry read_sizes(const std::string& text) {
  ModelGeometry geometry{.name = text};
  geometry.vae_width = 0;
  const std::map<std::string, int64_t*> sizes = {
      {"width", &geometry.width},   {"layers", &geometry.layers},           {"heads", &geometry.heads},
      {"ffn", &geometry.ffn},       {"text", &geometry.text_width},         {"text_length", &geometry.text_length},
      {"vae", &geometry.vae_width}, {"channels", &geometry.latent_channels}};
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    const auto size = sizes.find(word.substr(0, equals));
    if (equals == std::string::npos || size == sizes.end()) refuse(text, "found '" + word + "'");
    *size->second = read_size(text, word.substr(equals + 1));
  }
  for (const char* needed : {"width", "layers", "heads", "ffn"})
    if (*sizes.at(needed) == 0) refuse(text, std::string(needed) + " is missing");
  if (geometry.width % geometry.heads != 0 || geometry.width / geometry.heads % 2 != 0)
    refuse(text, "the width does not split into heads of even width");
  if (geometry.latent_channels != 16 && geometry.latent_channels != kWan22Channels)
    refuse(text, "channels is neither 16 nor 48");
  if (geometry.text_width % kTextHeadWidth != 0) refuse(text, "text is no multiple of 64");
  geometry.text_ffn = geometry.text_width * 5 / 2;  // as in UMT5-XXL
  return geometry;
}

/// Products of rows with such weights have the size of the rows' elements.
double scale_of(const std::vector<int64_t>& shape) {
  double inputs = 1;
  for (size_t i = 1; i < shape.size(); ++i) inputs *= static_cast<double>(shape[i]);
  return 1 / std::sqrt(inputs);
}

/// Of a tensor's numbers: by its name, since tensors are read by several threads, and some of them more than once.
at::Generator generator_of(const std::string& tensor, at::Device device) {
  at::Generator generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(std::stoull(sha256(tensor).substr(0, 15), nullptr, 16));
  return generator;
}

std::shared_ptr<const WeightStore> random_store(const std::vector<NamedShape>& shapes, const std::string& name,
                                                at::Device device, at::ScalarType dtype,
                                                const std::string& config = "") {
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, WeightStore::Change> changes;
  for (const auto& [tensor, shape] : shapes) {
    tensors[tensor] = at::full({1}, 0.1, dtype).expand(shape);  // the shape, without its memory
    if (tensor == kTokenEmbedding) continue;                    // of which rows are picked on the host
    changes[tensor] = [name = tensor, shape = shape, device, dtype](const at::Tensor&) {
      const at::TensorOptions options = at::TensorOptions().device(device).dtype(dtype);
      return at::randn(shape, generator_of(name, device), options).mul_(scale_of(shape));
    };
  }
  std::map<std::string, std::string> metadata;
  if (!config.empty()) metadata["config"] = config;
  return WeightStore::from_tensors(std::move(tensors), name + " (random weights)", std::move(metadata))
      ->with_changes(changes);
}

nlohmann::json transformer_sizes(const ModelGeometry& geometry) {
  return {{"dim", geometry.width},   {"num_heads", geometry.heads},        {"num_layers", geometry.layers},
          {"ffn_dim", geometry.ffn}, {"text_dim", geometry.text_width},    {"text_len", geometry.text_length},
          {"freq_dim", 256},         {"in_dim", geometry.latent_channels}, {"out_dim", geometry.latent_channels},
          {"patch_size", {1, 2, 2}}};
}

nlohmann::json text_encoder_sizes(const ModelGeometry& geometry) {
  return {{"vocab_size", kVocabulary},
          {"dim", geometry.text_width},
          {"dim_attn", geometry.text_width},
          {"dim_ffn", geometry.text_ffn},
          {"num_heads", geometry.text_width / kTextHeadWidth},
          {"num_layers", geometry.text_layers},
          {"num_buckets", 32}};
}

}  // namespace

ModelGeometry parse_geometry(const std::string& text) {
  for (const ModelGeometry& geometry : published_geometries())
    if (geometry.name == text) return geometry;
  return read_sizes(text);
}

ModelDescription random_description(const ModelGeometry& geometry) {
  ModelDescription model{.name = geometry.name};
  model.recipe.window_frames = 21;
  if (geometry.latent_channels == kWan22Channels)
    model.defaults = {.width = 1280, .height = 704, .fps = 24, .seconds = 10};
  if (geometry.name == kLongLive2) {  // as configs/models/longlive-2-5b.yaml
    model.recipe.frames_per_block = 8;
    model.recipe.window_frames = 32;
    model.recipe.sink_frames = 8;
    model.recipe.unipc_steps = 4;
    model.recipe.kv_recache = false;
  }
  if (geometry.name != kDemo) return model;
  model.recipe.window_frames = 12;
  model.recipe.sink_frames = 3;
  model.defaults = {.width = 256, .height = 144, .fps = 16, .seconds = 10};
  return model;
}

ModelWeights random_weights(const ModelGeometry& geometry, at::Device device, at::ScalarType dtype) {
  const nlohmann::json sizes = transformer_sizes(geometry);
  return {.transformer = random_store(transformer_shapes(sizes), geometry.name, device, dtype, json_line(sizes)),
          .text_encoder = random_store(umt5_shapes(text_encoder_sizes(geometry)), geometry.name, device, dtype),
          .vae = random_wan_vae(geometry.latent_channels, geometry.vae_width, device, dtype)};
}

std::shared_ptr<const WeightStore> random_language_weights(const LanguageConfig& config, at::Device device,
                                                           at::ScalarType dtype) {
  std::vector<NamedShape> shapes = language_shapes({{"vocab_size", config.vocabulary},
                                                    {"hidden_size", config.width},
                                                    {"intermediate_size", config.ffn_dim},
                                                    {"num_hidden_layers", config.layers},
                                                    {"num_attention_heads", config.heads},
                                                    {"num_key_value_heads", config.kv_heads},
                                                    {"head_dim", config.head_dim},
                                                    {"tie_word_embeddings", config.tied_head}});
  for (auto& [name, shape] : shapes) name = strip_wrapper_prefixes(name);
  return random_store(shapes, "language model", device, dtype);
}

std::shared_ptr<const WeightStore> random_wan_vae(int64_t latent_channels, int64_t width, at::Device device,
                                                  at::ScalarType dtype) {
  if (latent_channels != kWan22Channels)
    return random_store(vae_shapes(width > 0 ? width : kWan21VaeWidth), "Wan VAE", device, dtype);
  const int64_t dim = width > 0 ? width : kWan22VaeWidth;
  return random_store(wan22_vae_shapes(dim, dim * 8 / 5), "Wan2.2 VAE", device, dtype);  // 160 and 256 as published
}

std::shared_ptr<const WeightStore> random_taehv(int64_t latent_channels, at::Device device, at::ScalarType dtype) {
  const bool wan22 = latent_channels == kWan22Channels;
  return random_store(wan22 ? taehv22_shapes() : taehv_shapes(), wan22 ? "taew2_2" : "TAEHV", device, dtype);
}

}  // namespace flashblock
