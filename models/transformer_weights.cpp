#include "models/transformer_weights.h"

#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/unknown_name.h"
#include "models/int8_linear.h"
#include "models/linear_calibration.h"
#include "weights/tensor_table.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

class Table {
 public:
  explicit Table(const TransformerConfig& config) : config_(config) {}

  void add_linear(const std::string& name, int64_t out, int64_t in, Linear& linear) {
    table_.add(name + ".weight", {out, in}, linear.weight);
    table_.add(name + ".bias", {out}, linear.bias);
  }

  /// Projections of the same input, joined into one.
  void add_joined(const std::string& name, const std::vector<const char*>& parts, Linear& whole) {
    const int64_t dim = config_.dim, rows = dim * static_cast<int64_t>(parts.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      const int64_t first = dim * static_cast<int64_t>(i);
      table_.add_part(name + parts[i] + ".weight", {dim, dim}, whole.weight, first, rows);
      table_.add_part(name + parts[i] + ".bias", {dim}, whole.bias, first, rows);
    }
  }

  void add_layer(int64_t index, LayerWeights& layer) {
    const std::string name = layer_name(index);
    const int64_t dim = config_.dim;
    add_joined(name + ".self_attn", {".q", ".k", ".v"}, layer.self_qkv);
    add_linear(name + ".self_attn.o", dim, dim, layer.self_out);
    table_.add(name + ".self_attn.norm_q.weight", {dim}, layer.self_norm_q);
    table_.add(name + ".self_attn.norm_k.weight", {dim}, layer.self_norm_k);
    table_.add(name + ".norm3.weight", {dim}, layer.cross_norm.weight);
    table_.add(name + ".norm3.bias", {dim}, layer.cross_norm.bias);
    add_linear(name + ".cross_attn.q", dim, dim, layer.cross_q);
    add_joined(name + ".cross_attn", {".k", ".v"}, layer.cross_kv);
    add_linear(name + ".cross_attn.o", dim, dim, layer.cross_out);
    table_.add(name + ".cross_attn.norm_q.weight", {dim}, layer.cross_norm_q);
    table_.add(name + ".cross_attn.norm_k.weight", {dim}, layer.cross_norm_k);
    add_linear(name + ".ffn.0", config_.ffn_dim, dim, layer.ffn_up);
    add_linear(name + ".ffn.2", dim, config_.ffn_dim, layer.ffn_down);
  }

  void add_ends(TransformerEnds& ends) {
    const auto& [dim, patch] = std::pair{config_.dim, config_.patch};
    table_.add("patch_embedding.weight", {dim, config_.in_channels, patch.time, patch.height, patch.width},
               ends.patch.weight);
    table_.add("patch_embedding.bias", {dim}, ends.patch.bias);
    add_linear("text_embedding.0", dim, config_.text_dim, ends.text_in);
    add_linear("text_embedding.2", dim, dim, ends.text_out);
    add_linear("time_embedding.0", dim, config_.freq_dim, ends.time_in);
    add_linear("time_embedding.2", dim, dim, ends.time_out);
    add_linear("time_projection.1", 6 * dim, dim, ends.time_projection);
    ends.layer_modulations.resize(static_cast<size_t>(config_.layers));
    for (int64_t i = 0; i < config_.layers; ++i) {
      table_.add(layer_name(i) + ".modulation", {1, 6, dim}, ends.layer_modulations[static_cast<size_t>(i)]);
    }
    table_.add("head.modulation", {1, 2, dim}, ends.head_modulation);
    add_linear("head.head", config_.patch_volume() * config_.out_channels, dim, ends.head);
  }

  const TensorTable& tensors() const { return table_; }

 private:
  static std::string layer_name(int64_t index) { return "blocks." + std::to_string(index); }

  const TransformerConfig& config_;
  TensorTable table_;
};

constexpr std::string_view kCleanPass = "memory_";

/// Where `memory_` begins a component of the name; npos: nowhere.
size_t find_clean_pass(const std::string& name) {
  const size_t found = name.find(kCleanPass);
  return found == 0 || (found != std::string::npos && name[found - 1] == '.') ? found : std::string::npos;
}

}  // namespace

LinearPrecision parse_linear_precision(std::string_view name) {
  for (const LinearPrecision precision : {LinearPrecision::kNative, LinearPrecision::kInt8})
    if (to_string(precision) == name) return precision;
  throw unknown_name("precision", name, "native, int8");
}

std::string to_string(LinearPrecision precision) { return precision == LinearPrecision::kInt8 ? "int8" : "native"; }

bool is_clean_pass_weight(const std::string& name) { return find_clean_pass(name) != std::string::npos; }

std::shared_ptr<const WeightStore> denoising_weights(const WeightStore& store) {
  return store.with_names([](const std::string& name) { return is_clean_pass_weight(name) ? "" : name; });
}

std::shared_ptr<const WeightStore> clean_pass_weights(const WeightStore& store) {
  return store.with_names([](std::string name) {
    const size_t found = find_clean_pass(name);
    return found == std::string::npos ? "" : name.erase(found, kCleanPass.size());
  });
}

std::vector<at::Tensor*> tensors_of(LayerWeights& layer) {
  std::vector<at::Tensor*> tensors = {&layer.self_norm_q, &layer.self_norm_k, &layer.cross_norm_q, &layer.cross_norm_k};
  for (Linear* linear : {&layer.self_qkv, &layer.self_out, &layer.cross_norm, &layer.cross_q, &layer.cross_kv,
                         &layer.cross_out, &layer.ffn_up, &layer.ffn_down}) {
    tensors.push_back(&linear->weight);
    tensors.push_back(&linear->bias);
    tensors.push_back(&linear->scales);
    tensors.push_back(&linear->input_factors);
  }
  return tensors;
}

void check_transformer_weights(const WeightStore& store, const TransformerConfig& config) {
  Table table(config);
  TransformerEnds ends;
  table.add_ends(ends);
  std::vector<LayerWeights> layers(static_cast<size_t>(config.layers));
  for (int64_t i = 0; i < config.layers; ++i) table.add_layer(i, layers[static_cast<size_t>(i)]);
  table.tensors().check(store);
}

TransformerEnds load_transformer_ends(const WeightStore& store, const TransformerConfig& config, at::Device device,
                                      at::ScalarType dtype) {
  TransformerEnds ends;
  Table table(config);
  table.add_ends(ends);
  table.tensors().fill(store, device, dtype);
  ends.patch.weight = ends.patch.weight.flatten(1);
  return ends;
}

LayerWeights load_layer(const WeightStore& store, const TransformerConfig& config, int64_t layer, at::Device device,
                        at::ScalarType dtype, LinearPrecision precision, const LayerSmoothing* smoothing) {
  LayerWeights weights;
  Table table(config);
  table.add_layer(layer, weights);
  table.tensors().fill(store, device, dtype);
  if (precision != LinearPrecision::kInt8) return weights;
  if (smoothing) smooth(weights, *smoothing);
  for (Linear* linear :
       {&weights.self_qkv, &weights.self_out, &weights.cross_q, &weights.cross_out, &weights.ffn_up, &weights.ffn_down})
    *linear = quantised(*linear);
  return weights;
}

}  // namespace flashblock
