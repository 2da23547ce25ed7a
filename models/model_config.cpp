#include "models/model_config.h"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "core/error.h"
#include "core/plain_text.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using nlohmann::json;

constexpr int64_t kPublishedHeadWidth = 128;  // of every published Wan model
constexpr int64_t kLargestSize = 1'000'000;   // of any number in a config.json; products of three fit 64 bits

bool read_number(const json& value, int64_t& target) {
  if (!value.is_number_integer() || value < 0 || value > kLargestSize) return false;
  target = value.get<int64_t>();
  return true;
}

bool read_number(const json& value, double& target) {
  if (!value.is_number()) return false;
  target = value.get<double>();
  return true;
}

// Reads the number under the first of `keys` that `object` has into `target`.
template <typename Number>
void take(const json& object, std::initializer_list<const char*> keys, const std::string& origin, Number& target) {
  for (const char* key : keys) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) continue;
    if (!read_number(*found, target))
      throw ConfigError(origin + ": " + key + " is " + found->dump() + ", wanted a " +
                        (std::is_integral_v<Number> ? "whole number from 0 to 1000000" : "number"));
    return;
  }
}

void take_patch(const json& object, const std::string& origin, PatchSize& patch) {
  const auto found = object.find("patch_size");
  if (found == object.end() || found->is_null()) return;
  if (!found->is_array() || found->size() != 3 || !read_number((*found)[0], patch.time) ||
      !read_number((*found)[1], patch.height) || !read_number((*found)[2], patch.width))
    throw ConfigError(origin + ": patch_size is " + found->dump() + ", wanted three whole numbers");
}

// Number of layers: one more than the largest N of names blocks.N.modulation.
int64_t count_layers(const WeightStore& weights) {
  int64_t layers = 0;
  while (weights.contains("blocks." + std::to_string(layers) + ".modulation")) ++layers;
  return layers;
}

// The shape of a tensor that must have `rank` dimensions, none of them zero.
std::vector<int64_t> shape_of_rank(const WeightStore& weights, const std::string& name, size_t rank) {
  const std::vector<int64_t> shape = weights.shape(name);
  if (shape.size() != rank || std::count(shape.begin(), shape.end(), 0) > 0)
    throw WeightsError(weights.path().string() + ": " + name + " has " + std::to_string(shape.size()) +
                       " dimensions or an empty one, wanted " + std::to_string(rank) +
                       "; is this a Wan video transformer?");
  return shape;
}

/// The config.json in the folder of the weights; empty if there is none. Weights in memory have no folder.
std::filesystem::path config_beside(const std::filesystem::path& weights) {
  std::error_code unknown;
  if (!std::filesystem::exists(weights, unknown)) return {};
  const auto folder = std::filesystem::is_directory(weights, unknown) ? weights : weights.parent_path();
  return std::filesystem::exists(folder / "config.json", unknown) ? folder / "config.json" : std::filesystem::path();
}

/// Whether both have the same widths. A config.json for which they differ belongs to another model whose files lie in
/// the same folder; one with another number of layers may be that of weights that are not whole.
bool same_widths(const TransformerConfig& a, const TransformerConfig& b) {
  return a.dim == b.dim && a.ffn_dim == b.ffn_dim && a.text_dim == b.text_dim && a.in_channels == b.in_channels &&
         a.out_channels == b.out_channels;
}

}  // namespace

void TransformerConfig::validate() const {
  const auto want = [](bool good, const std::string& message) {
    if (!good) throw ConfigError("transformer: " + message);
  };
  want(heads > 0, "the number of heads is not stated, and a width of " + std::to_string(dim) +
                      " is no multiple of 128, the width of a head in published models; name a config.json that has "
                      "num_heads");
  want(dim > 0 && layers > 0 && ffn_dim > 0 && text_dim > 0 && text_len > 0,
       "dim, layers, ffn_dim, text_dim and text_len must be positive");
  want(dim % heads == 0 && head_dim() % 2 == 0, "dim " + std::to_string(dim) + " cannot be split into " +
                                                    std::to_string(heads) + " heads of even width; set heads");
  want(freq_dim > 0 && freq_dim % 2 == 0, "freq_dim must be positive and even");
  want(in_channels > 0 && out_channels > 0, "in_channels and out_channels must be positive");
  want(patch.time == 1 && patch.height > 0 && patch.width > 0,
       "patch must be one latent frame of positive height and width");
  want(eps > 0, "eps must be positive");
}

TransformerConfig transformer_config_from_weights(const WeightStore& weights) {
  if (weights.contains("img_emb.proj.0.weight"))
    throw WeightsError(weights.path().string() +
                       ": an image-to-video transformer (it has img_emb); wanted a text-to-video one");
  const auto patch = shape_of_rank(weights, "patch_embedding.weight", 5);
  TransformerConfig config;
  config.dim = patch[0];
  config.in_channels = patch[1];
  config.patch = {patch[2], patch[3], patch[4]};
  config.heads = config.dim % kPublishedHeadWidth == 0 ? config.dim / kPublishedHeadWidth : 0;
  config.layers = count_layers(weights);
  config.ffn_dim = shape_of_rank(weights, "blocks.0.ffn.0.weight", 2)[0];
  config.freq_dim = shape_of_rank(weights, "time_embedding.0.weight", 2)[1];
  config.text_dim = shape_of_rank(weights, "text_embedding.0.weight", 2)[1];
  config.out_channels = shape_of_rank(weights, "head.head.weight", 2)[0] / config.patch_volume();
  config.clean_pass_weights = weights.contains("memory_patch_embedding.weight");
  const auto found = weights.metadata().find("config");
  if (found == weights.metadata().end()) return config;
  return transformer_config_from_json(found->second, weights.path().string() + ": metadata config", config);
}

TransformerConfig transformer_config_from_json(const std::string& text, const std::string& origin,
                                               TransformerConfig base) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw ConfigError(origin + json_fault(text));
  TransformerConfig config = base;
  int64_t head_dim = 0;
  take(object, {"num_heads", "num_attention_heads"}, origin, config.heads);
  take(object, {"attention_head_dim"}, origin, head_dim);
  if (head_dim > 0) config.dim = config.heads * head_dim;
  take(object, {"dim"}, origin, config.dim);
  take(object, {"num_layers"}, origin, config.layers);
  take(object, {"ffn_dim"}, origin, config.ffn_dim);
  take(object, {"freq_dim"}, origin, config.freq_dim);
  take(object, {"text_dim"}, origin, config.text_dim);
  take(object, {"text_len"}, origin, config.text_len);
  take(object, {"in_dim", "in_channels"}, origin, config.in_channels);
  take(object, {"out_dim", "out_channels"}, origin, config.out_channels);
  take(object, {"eps"}, origin, config.eps);
  take_patch(object, origin, config.patch);
  return config;
}

TransformerConfig read_transformer_config(const WeightStore& weights, std::filesystem::path config_file) {
  TransformerConfig config = transformer_config_from_weights(weights);
  const bool named = !config_file.empty();
  if (!named) config_file = config_beside(weights.path());
  if (!config_file.empty()) {
    std::ifstream stream(config_file);
    std::ostringstream text;
    if (!stream || !(text << stream.rdbuf())) throw WeightsError("cannot read " + config_file.string());
    const TransformerConfig stated = transformer_config_from_json(text.str(), config_file.string(), config);
    if (named || same_widths(stated, config)) config = stated;
  }
  config.validate();
  return config;
}

}  // namespace flashblock
