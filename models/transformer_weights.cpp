#include "models/transformer_weights.h"

#include <ATen/ops/cat.h>

#include <string>
#include <utility>

#include "core/tensor_table.h"
#include "core/weight_store.h"

namespace flashblock {
namespace {

// Projections as published, before those of the same input are joined.
struct SeparateProjections {
  Linear q, k, v;
};

struct SeparateLayer {
  SeparateProjections self_attn, cross_attn;
};

class Table {
 public:
  Table(const TransformerConfig& config) : config_(config) {}

  void add_linear(const std::string& name, int64_t out, int64_t in, Linear& linear) {
    table_.add(name + ".weight", {out, in}, linear.weight);
    table_.add(name + ".bias", {out}, linear.bias);
  }

  void add_projections(const std::string& name, SeparateProjections& separate, Linear& out, at::Tensor& norm_q,
                       at::Tensor& norm_k) {
    const int64_t dim = config_.dim;
    add_linear(name + ".q", dim, dim, separate.q);
    add_linear(name + ".k", dim, dim, separate.k);
    add_linear(name + ".v", dim, dim, separate.v);
    add_linear(name + ".o", dim, dim, out);
    table_.add(name + ".norm_q.weight", {dim}, norm_q);
    table_.add(name + ".norm_k.weight", {dim}, norm_k);
  }

  void add_layer(const std::string& name, SeparateLayer& separate, LayerWeights& layer) {
    const int64_t dim = config_.dim;
    table_.add(name + ".modulation", {1, 6, dim}, layer.modulation);
    add_projections(name + ".self_attn", separate.self_attn, layer.self_out, layer.self_norm_q, layer.self_norm_k);
    table_.add(name + ".norm3.weight", {dim}, layer.cross_norm.weight);
    table_.add(name + ".norm3.bias", {dim}, layer.cross_norm.bias);
    add_projections(name + ".cross_attn", separate.cross_attn, layer.cross_out, layer.cross_norm_q, layer.cross_norm_k);
    add_linear(name + ".ffn.0", config_.ffn_dim, dim, layer.ffn_up);
    add_linear(name + ".ffn.2", dim, config_.ffn_dim, layer.ffn_down);
  }

  void add_ends(TransformerWeights& weights) {
    const auto& [dim, patch] = std::pair{config_.dim, config_.patch};
    table_.add("patch_embedding.weight", {dim, config_.in_channels, patch.time, patch.height, patch.width},
               weights.patch.weight);
    table_.add("patch_embedding.bias", {dim}, weights.patch.bias);
    add_linear("text_embedding.0", dim, config_.text_dim, weights.text_in);
    add_linear("text_embedding.2", dim, dim, weights.text_out);
    add_linear("time_embedding.0", dim, config_.freq_dim, weights.time_in);
    add_linear("time_embedding.2", dim, dim, weights.time_out);
    add_linear("time_projection.1", 6 * dim, dim, weights.time_projection);
    table_.add("head.modulation", {1, 2, dim}, weights.head_modulation);
    add_linear("head.head", config_.patch_volume() * config_.out_channels, dim, weights.head);
  }

  const TensorTable& tensors() const { return table_; }

 private:
  const TransformerConfig& config_;
  TensorTable table_;
};

Linear joined(std::vector<Linear*> parts) {
  std::vector<at::Tensor> weights, biases;
  for (const Linear* part : parts) {
    weights.push_back(part->weight);
    biases.push_back(part->bias);
  }
  Linear whole{at::cat(weights), at::cat(biases)};
  for (Linear* part : parts) *part = {};
  return whole;
}

}  // namespace

std::unique_ptr<const TransformerWeights> load_transformer_weights(const WeightStore& store,
                                                                   const TransformerConfig& config, at::Device device,
                                                                   at::ScalarType dtype) {
  auto weights = std::make_unique<TransformerWeights>();
  weights->layers.resize(size_t(config.layers));
  std::vector<SeparateLayer> separate(size_t(config.layers));
  Table table(config);
  table.add_ends(*weights);
  for (size_t i = 0; i < separate.size(); ++i)
    table.add_layer("blocks." + std::to_string(i), separate[i], weights->layers[i]);
  table.tensors().load(store, device, dtype);

  weights->patch.weight = weights->patch.weight.flatten(1);
  for (size_t i = 0; i < separate.size(); ++i) {
    auto& [self_attn, cross_attn] = separate[i];
    weights->layers[i].self_qkv = joined({&self_attn.q, &self_attn.k, &self_attn.v});
    weights->layers[i].cross_kv = joined({&cross_attn.k, &cross_attn.v});
    weights->layers[i].cross_q = std::exchange(cross_attn.q, {});
  }
  return weights;
}

}  // namespace flashblock
