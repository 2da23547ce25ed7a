#include "language/language_model.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "attention/block_attention.h"
#include "attention/block_causal_attention.h"
#include "attention/fused_clean_pass.h"
#include "attention/grouped_heads.h"
#include "core/check.h"
#include "language/language_layers.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using Output = LanguageModel::Output;

// What one call over a run of tokens needs besides the weights.
struct Call {
  const LanguageConfig& config;
  Rotation rotation;          // of the tokens
  int64_t attending = 0;      // rows of the last layer, the first ones, that are more than keys and values
  int64_t staged_tokens = 0;  // all
};

// The projections of a layer's input, keys and values written to the cache. Returns the grouped queries of the first
// `attending` tokens.
at::Tensor stage(const at::Tensor& x, const LanguageLayer& layer, const Call& call, int64_t attending, KvCache& kv) {
  const LanguageConfig& config = call.config;
  const at::Tensor normed = text_rms_norm(x, layer.attention_norm, config.eps);
  const int64_t q_width = config.heads * config.head_dim, kv_width = config.kv_heads * config.head_dim;
  const auto parts = project(normed, layer.qkv).split_with_sizes({q_width, kv_width, kv_width}, -1);
  const KeyRange staged = kv.stage(call.staged_tokens);
  staged.keys.copy_(rotated_keys(parts[1], layer.k_norm, config.eps, call.rotation));
  staged.values.copy_(parts[2].unflatten(-1, {config.kv_heads, config.head_dim}));
  if (attending == 0) return {};
  const Rotation rotation{call.rotation.cosine.narrow(0, 0, attending), call.rotation.sine.narrow(0, 0, attending)};
  return rotated_queries(parts[0].narrow(1, 0, attending), layer.q_norm, config.eps, rotation, config.kv_heads);
}

// The rest of a layer. Shape: attended [B, rows, K, D], grouped.
at::Tensor finish(const at::Tensor& x, const at::Tensor& attended, const LanguageLayer& layer, const Call& call) {
  const at::Tensor heads = ungroup_queries(attended, call.config.group()).flatten(2);
  const at::Tensor h = x.narrow(1, 0, heads.size(1)) + project(heads, layer.out);
  const at::Tensor normed = text_rms_norm(h, layer.ffn_norm, call.config.eps);
  return h + project(swiglu(project(normed, layer.gate_up)), layer.down);
}

// All layers. `attend(layer index, queries)` is their attention. Returns [B, attending, width].
template <typename Attend>
at::Tensor run_layers(at::Tensor x, LayerProvider<LanguageLayer>& provider, const Call& call, LanguageState& state,
                      const Attend& attend) {
  auto layers = provider.walk();
  for (int64_t i = 0; i < call.config.layers; ++i) {
    const LanguageLayer& layer = layers.layer(i);
    const int64_t attending = i + 1 == call.config.layers ? call.attending : call.staged_tokens;
    const at::Tensor q = stage(x, layer, call, attending, state.layer(i).kv);
    if (attending > 0) x = finish(x, attend(i, q), layer, call);
  }
  return x;
}

int64_t bytes_of(const at::Tensor& tensor) { return static_cast<int64_t>(tensor.nbytes()); }

Rotation joined(const Rotation& first, const Rotation& second) {
  return {at::cat({first.cosine, second.cosine}), at::cat({first.sine, second.sine})};
}

}  // namespace

std::shared_ptr<const LanguageModel> LanguageModel::load(std::shared_ptr<const WeightStore> weights,
                                                         const LanguageConfig& config, at::Device device,
                                                         at::ScalarType dtype, LayerPlacement placement) {
  config.validate();
  check_language_weights(*weights, config);
  const c10::InferenceMode inference;
  std::unique_ptr<LayerProvider<LanguageLayer>> layers;
  const ProjectionStorage storage = device.is_cpu() ? ProjectionStorage::kSeparate : ProjectionStorage::kJoined;
  if (placement == LayerPlacement::kStreamed) {
    const auto read = [=](int64_t layer) {
      return load_language_layer(*weights, config, layer, at::kCPU, dtype, storage);
    };
    layers = std::make_unique<LayerProvider<LanguageLayer>>(config.layers, read, device);
  } else {
    std::vector<LanguageLayer> all;
    for (int64_t i = 0; i < config.layers; ++i)
      all.push_back(load_language_layer(*weights, config, i, device, dtype, storage));
    layers = std::make_unique<LayerProvider<LanguageLayer>>(std::move(all));
  }
  const int64_t projections = (2 * config.heads + 2 * config.kv_heads) * config.head_dim + 3 * config.ffn_dim;
  const int64_t layer_elements = projections * config.width + 2 * config.width + 2 * config.head_dim;
  const int64_t layer_bytes = config.layers * layer_elements * static_cast<int64_t>(c10::elementSize(dtype));
  return std::shared_ptr<const LanguageModel>(
      new LanguageModel(config, load_language_ends(*weights, config, device, dtype), std::move(layers), layer_bytes));
}

LanguageModel::LanguageModel(const LanguageConfig& config, LanguageEnds ends,
                             std::unique_ptr<LayerProvider<LanguageLayer>> layers, int64_t layer_bytes)
    : config_(config), ends_(std::move(ends)), layers_(std::move(layers)), layer_bytes_(layer_bytes) {}

LanguageModel::~LanguageModel() = default;

LanguageState LanguageModel::make_state(const LanguageStateOptions& options) const {
  const c10::InferenceMode inference;
  return LanguageState(config_, options, device(), dtype());
}

at::Tensor LanguageModel::prefill(LanguageState& state, const at::Tensor& ids, Output output) const {
  const c10::InferenceMode inference;
  const int64_t block = state.options().block_size, length = ids.size(1);
  FB_CHECK(length % block == 0 && state.tokens() + length <= state.options().max_tokens, "prefill of ", length,
           " tokens");
  const int64_t most = std::max(state.options().prefill_tokens / block, int64_t(1)) * block;
  std::vector<at::Tensor> hidden;
  for (int64_t first = 0; first < length; first += most) {
    const int64_t tokens = std::min(most, length - first);
    const Call call{config_, state.rotation(state.tokens(), tokens), output == Output::kHidden ? tokens : 0, tokens};
    const at::Tensor x = at::embedding(ends_.embedding, ids.narrow(1, first, tokens).to(state.device()));
    const at::Tensor last = run_layers(x, *layers_, call, state, [&](int64_t layer, const at::Tensor& q) {
      return block_causal_attention(q, state.layer(layer).kv, block);
    });
    state.commit(tokens);
    if (output == Output::kHidden) hidden.push_back(text_rms_norm(last, ends_.norm, config_.eps));
  }
  return hidden.empty() ? at::Tensor() : at::cat(hidden, 1);
}

at::Tensor LanguageModel::pass(LanguageState& state, const at::Tensor& ids, const Pass& kind) const {
  return run_pass(state, ids, kind, Output::kHidden);
}

at::Tensor LanguageModel::clean_pass(LanguageState& state, const at::Tensor& ids, Output output) const {
  const c10::InferenceMode inference;
  const at::Tensor hidden = run_pass(state, ids, Pass::clean(), output);
  state.commit(ids.size(1));
  return hidden;
}

at::Tensor LanguageModel::run_pass(LanguageState& state, const at::Tensor& ids, const Pass& kind, Output output) const {
  const c10::InferenceMode inference;
  const int64_t tokens = ids.size(1);
  FB_CHECK(tokens == state.options().block_size, "pass over ", tokens, " tokens");
  const Pass pass = state.begin_pass(kind, tokens);
  const Call call{config_, state.rotation(state.tokens(), tokens), output == Output::kHidden ? tokens : 0, tokens};
  const at::Tensor x = at::embedding(ends_.embedding, ids.to(state.device()));
  const at::Tensor last = run_layers(x, *layers_, call, state, [&](int64_t i, const at::Tensor& q) {
    LanguageLayerState& layer = state.layer(i);
    return block_attention(q, layer.kv, layer.external, state.attention(), pass);
  });
  state.end_pass(layer_bytes_);
  return output == Output::kHidden ? text_rms_norm(last, ends_.norm, config_.eps) : at::Tensor();
}

at::Tensor LanguageModel::fused_pass(LanguageState& state, const at::Tensor& finished, const at::Tensor& next) const {
  const c10::InferenceMode inference;
  const int64_t block = state.options().block_size;
  FB_CHECK(finished.size(1) == block && next.size(1) == block, "fused pass over ", finished.size(1), " and ",
           next.size(1), " tokens");
  FB_CHECK(!state.options().observer, "a fused pass shows an observer nothing");
  const Pass clean = state.begin_pass(Pass::clean(), block);
  // The next block first, so that its rows and its staged keys are the first ones; positions say what comes when.
  const int64_t start = state.tokens();
  const Call call{config_, joined(state.rotation(start + block, block), state.rotation(start, block)), block,
                  2 * block};
  const at::Tensor ids = at::cat({next.to(state.device()), finished.to(state.device())}, 1);
  const FusedBlocks blocks{.next_rows = block * config_.group(), .finished_tokens = block, .clean = clean};
  bool refreshed = true;
  std::vector<std::optional<CachedExternal>> external(static_cast<size_t>(config_.layers));
  const at::Tensor last =
      run_layers(at::embedding(ends_.embedding, ids), *layers_, call, state, [&](int64_t i, const at::Tensor& q) {
        LanguageLayerState& layer = state.layer(i);
        FusedAttention fused = fused_clean_attention(q, blocks, layer.kv, layer.external, state.attention());
        external[static_cast<size_t>(i)] = std::move(fused.next);
        if (i == 0) refreshed = fused.refreshed;
        return fused.output;
      });
  state.end_pass(layer_bytes_, refreshed);
  state.commit(block);
  for (int64_t i = 0; i < config_.layers; ++i) {
    auto& next_external = external[static_cast<size_t>(i)];
    ExternalCache& cache = state.layer(i).external.cache;
    if (!next_external) continue;
    cache.store(std::move(*next_external));
    cache.count_pass();
  }
  return text_rms_norm(last, ends_.norm, config_.eps);
}

at::Tensor LanguageModel::logits(LanguageState& state, const at::Tensor& hidden) const {
  const c10::InferenceMode inference;
  state.count_head(bytes_of(ends_.head));
  return project(hidden, ends_.head);
}

}  // namespace flashblock
