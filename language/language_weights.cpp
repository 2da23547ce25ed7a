#include "language/language_weights.h"

#include <string>
#include <utility>

#include "weights/tensor_table.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

constexpr const char* kHead = "lm_head.weight";

class Table {
 public:
  Table(const LanguageConfig& config, ProjectionStorage storage)
      : config_(config), joined_(storage == ProjectionStorage::kJoined) {}

  void add_layer(int64_t index, LanguageLayer& layer) {
    const std::string name = "layers." + std::to_string(index) + ".";
    const int64_t width = config_.width, q = config_.heads * config_.head_dim, kv = config_.kv_heads * config_.head_dim;
    table_.add(name + "input_layernorm.weight", {width}, layer.attention_norm);
    table_.add(name + "self_attn.q_norm.weight", {config_.head_dim}, layer.q_norm);
    table_.add(name + "self_attn.k_norm.weight", {config_.head_dim}, layer.k_norm);
    table_.add(name + "post_attention_layernorm.weight", {width}, layer.ffn_norm);
    add_projections(layer.qkv, {{name + "self_attn.q_proj.weight", q},
                                {name + "self_attn.k_proj.weight", kv},
                                {name + "self_attn.v_proj.weight", kv}});
    table_.add(name + "self_attn.o_proj.weight", {width, q}, layer.out);
    add_projections(layer.gate_up,
                    {{name + "mlp.gate_proj.weight", config_.ffn_dim}, {name + "mlp.up_proj.weight", config_.ffn_dim}});
    table_.add(name + "mlp.down_proj.weight", {width, config_.ffn_dim}, layer.down);
  }

  void add_ends(LanguageEnds& ends) {
    const std::vector<int64_t> shape = {config_.vocabulary, config_.width};
    table_.add("embed_tokens.weight", shape, ends.embedding);
    table_.add("norm.weight", {config_.width}, ends.norm);
    if (!config_.tied_head) table_.add(kHead, shape, ends.head);
  }

  const TensorTable& tensors() const { return table_; }

 private:
  void add_projections(Projections& target, const std::vector<std::pair<std::string, int64_t>>& parts) {
    target.resize(joined_ ? 1 : parts.size());
    int64_t rows = 0, first = 0;
    for (const auto& [name, count] : parts) rows += count;
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto& [name, count] = parts[i];
      if (joined_)
        table_.add_part(name, {count, config_.width}, target.front(), first, rows);
      else
        table_.add(name, {count, config_.width}, target[i]);
      first += count;
    }
  }

  const LanguageConfig& config_;
  bool joined_;
  TensorTable table_;
};

}  // namespace

std::vector<at::Tensor*> tensors_of(LanguageLayer& layer) {
  std::vector<at::Tensor*> tensors = {&layer.attention_norm, &layer.q_norm, &layer.k_norm,
                                      &layer.ffn_norm,       &layer.out,    &layer.down};
  layer.qkv.resize(layer.qkv.empty() ? 1 : layer.qkv.size());
  layer.gate_up.resize(layer.gate_up.empty() ? 1 : layer.gate_up.size());
  for (at::Tensor& part : layer.qkv) tensors.push_back(&part);
  for (at::Tensor& part : layer.gate_up) tensors.push_back(&part);
  return tensors;
}

void check_language_weights(const WeightStore& store, const LanguageConfig& config) {
  Table table(config, ProjectionStorage::kSeparate);
  LanguageEnds ends;
  table.add_ends(ends);
  std::vector<LanguageLayer> layers(static_cast<size_t>(config.layers));
  for (int64_t i = 0; i < config.layers; ++i) table.add_layer(i, layers[static_cast<size_t>(i)]);
  table.tensors().check(store, config.tied_head ? std::vector<std::string>{kHead} : std::vector<std::string>{});
}

LanguageEnds load_language_ends(const WeightStore& store, const LanguageConfig& config, at::Device device,
                                at::ScalarType dtype) {
  LanguageEnds ends;
  Table table(config, ProjectionStorage::kSeparate);
  table.add_ends(ends);
  table.tensors().fill(store, device, dtype);
  if (config.tied_head) ends.head = ends.embedding;
  return ends;
}

LanguageLayer load_language_layer(const WeightStore& store, const LanguageConfig& config, int64_t layer,
                                  at::Device device, at::ScalarType dtype, ProjectionStorage storage) {
  LanguageLayer weights;
  Table table(config, storage);
  table.add_layer(layer, weights);
  table.tensors().fill(store, device, dtype);
  return weights;
}

}  // namespace flashblock
