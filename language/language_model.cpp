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
#include "core/check.h"
#include "language/language_layers.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using Output = LanguageModel::Output;

// What one call over a run of tokens needs besides the weights.
struct Call {
  const LanguageConfig& config;
  const at::Tensor& last_norm;
  Rotation rotation;          // of the tokens
  int64_t attending = 0;      // rows of the last layer, the first ones, that are more than keys and values
  int64_t staged_tokens = 0;  // all
};

// Few numbers go to the GPU with the launch instead of a copy. Shape: ids [B, L], on any device; returns [B, L, width].
at::Tensor embedded(const at::Tensor& table, const at::Tensor& ids) {
  constexpr int64_t kFew = 32;
  if (table.is_cpu() || !ids.is_cpu() || ids.numel() > kFew) return at::embedding(table, ids.to(table.device()));
  const at::Tensor row = ids.contiguous();
  const auto* first = row.const_data_ptr<int64_t>();
  return select_rows(table, {first, first + row.numel()}).view({ids.size(0), ids.size(1), table.size(1)});
}

// Outputs of a layer's operators, which the next layer's overwrite.
struct LayerOutputs {
  NormedSum input, behind_attention;
  at::Tensor projected, heads, activated, update;
};

// The sum behind attention. Shape: x [B, L, width], attended [B, rows, K, D], grouped, of the first tokens.
NormedSum behind_attention(const at::Tensor& x, const at::Tensor& attended, const LanguageLayer& layer,
                           const LanguageConfig& config, LayerOutputs& reused) {
  const int64_t tokens = attended.size(1) / config.group();
  const at::Tensor of_tokens = tokens == x.size(1) ? x : x.narrow(1, 0, tokens).contiguous();
  const Update update{project_heads(attended, layer.out, config.group(), &reused.heads), {}};
  return add_text_norm(of_tokens, update, layer.ffn_norm, config.eps, &reused.behind_attention);
}

// All layers and the last norm. `attend(layer index, queries)` is the attention of a layer. Returns [B, attending,
// width].
template <typename Attend>
at::Tensor run_layers(at::Tensor x, LayerProvider<LanguageLayer>& provider, const Call& call, LanguageState& state,
                      const Attend& attend) {
  const LanguageConfig& config = call.config;
  auto layers = provider.walk();
  Update update;
  LayerOutputs reused;
  for (int64_t i = 0; i < config.layers; ++i) {
    const LanguageLayer& layer = layers.layer(i);
    const int64_t attending = i + 1 == config.layers ? call.attending : call.staged_tokens;
    const NormedSum input = add_text_norm(x, update, layer.attention_norm, config.eps, &reused.input);
    const at::Tensor q = stage_heads(project(input.normed, layer.qkv, &reused.projected),
                                     {layer.q_norm, layer.k_norm, config.eps, call.rotation}, attending,
                                     state.layer(i).kv.stage(call.staged_tokens));
    if (attending == 0) return {};
    const NormedSum behind = behind_attention(input.sum, attend(i, q), layer, config, reused);
    x = behind.sum;
    update =
        project_update(project_swiglu(behind.normed, layer.gate_up, &reused.activated), layer.down, &reused.update);
  }
  return add_text_norm(x, update, call.last_norm, config.eps).normed;
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
    const Call call{config_, ends_.norm, state.rotation(state.tokens(), tokens), output == Output::kHidden ? tokens : 0,
                    tokens};
    const at::Tensor x = embedded(ends_.embedding, ids.narrow(1, first, tokens));
    const at::Tensor last = run_layers(x, *layers_, call, state, [&](int64_t layer, const at::Tensor& q) {
      return block_causal_attention(q, state.layer(layer).kv, block);
    });
    state.commit(tokens);
    if (output == Output::kHidden) hidden.push_back(last);
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
  const Call call{config_, ends_.norm, state.rotation(state.tokens(), tokens), output == Output::kHidden ? tokens : 0,
                  tokens};
  const at::Tensor x = embedded(ends_.embedding, ids);
  const at::Tensor last = run_layers(x, *layers_, call, state, [&](int64_t i, const at::Tensor& q) {
    LanguageLayerState& layer = state.layer(i);
    return block_attention(q, layer.kv, layer.external, state.attention(), pass);
  });
  state.end_pass(layer_bytes_);
  return last;
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
  const Call call{config_, ends_.norm, joined(state.rotation(start + block, block), state.rotation(start, block)),
                  block, 2 * block};
  const at::Tensor ids = at::cat({next, finished}, 1);
  const FusedBlocks blocks{.next_rows = block * config_.group(), .finished_tokens = block, .clean = clean};
  bool refreshed = true;
  std::vector<std::optional<CachedExternal>> external(static_cast<size_t>(config_.layers));
  const at::Tensor last =
      run_layers(embedded(ends_.embedding, ids), *layers_, call, state, [&](int64_t i, const at::Tensor& q) {
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
  return last;
}

at::Tensor LanguageModel::logits(LanguageState& state, const at::Tensor& hidden) const {
  const c10::InferenceMode inference;
  state.count_head(bytes_of(ends_.head));
  return project(hidden, ends_.head);
}

}  // namespace flashblock
