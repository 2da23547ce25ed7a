// A whole layer against the same written with LibTorch's operators, and its staged keys and values.
#include "models/transformer_layer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>
#include <utility>

#include "attention/attention.h"
#include "attention/block_attention.h"
#include "models/layers_plain.h"
#include "tests/support/cuda.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::formula_data;

// Two latent frames of 3 x 5 tokens: 30 rows, so that kernels with several rows to a thread block have one left over.
constexpr int64_t kFrames = 2, kRows = 3, kColumns = 5, kTokens = kFrames * kRows * kColumns;
const AttentionConfig kExact{.mode = AttentionConfig::Mode::kExact};

TransformerConfig config_of(int64_t heads, int64_t head_dim) {
  return {.dim = heads * head_dim, .heads = heads, .layers = 1, .ffn_dim = 2 * heads * head_dim + 8};
}

// Data of one layer, of about the size that trained layers have.
class Layer {
 public:
  Layer(const TransformerConfig& config, at::TensorOptions options)
      : config_(config),
        options_(options),
        rotation_(RopeTable(config.head_dim(), 40, kRows, kColumns, options.device()).rotation(7, kFrames)),
        split_(nullptr, kRows * kColumns, config.heads) {
    const int64_t dim = config.dim;
    weights_ = {.self_qkv = linear("qkv", 3 * dim, dim),
                .self_out = linear("out", dim, dim),
                .self_norm_q = near_one("norm_q"),
                .self_norm_k = near_one("norm_k"),
                .cross_norm = {near_one("norm.w"), vector("norm.b")},
                .cross_q = linear("cross_q", dim, dim),
                .cross_kv = linear("cross_kv", 2 * dim, dim),
                .cross_out = linear("cross_out", dim, dim),
                .cross_norm_q = near_one("cross_norm_q"),
                .cross_norm_k = near_one("cross_norm_k"),
                .ffn_up = linear("up", config.ffn_dim, dim),
                .ffn_down = linear("down", dim, config.ffn_dim)};
    const auto row = [](const at::Tensor& t) { return t.view({1, 1, -1}); };
    modulation_ = {row(vector("m0")), row(near_one("m1")), row(vector("m2")),
                   row(vector("m3")), row(near_one("m4")), row(vector("m5"))};
  }

  at::Tensor input() const { return formula_data("x", {2, kTokens, config_.dim}, 2).to(options_); }
  LayerContext context() const { return {config_, kExact, Pass::denoise(0), rotation_, kFrames, split_}; }
  const LayerWeights& weights() const { return weights_; }
  const LayerModulation& modulation() const { return modulation_; }

  LayerState state() const {
    const KvCacheLayout layout{.tokens_per_frame = kRows * kColumns, .frames_per_block = kFrames, .window_frames = 5};
    const at::Tensor text = formula_data("text", {2, 7, config_.dim}, 1).to(options_);
    return {.kv = KvCache(layout, 2, config_.heads, config_.head_dim(), options_.device(),
                          c10::typeMetaToScalarType(options_.dtype())),
            .external = {},
            .text = text_keys_values(text, weights_, config_)};
  }

 private:
  at::Tensor vector(const std::string& name) const { return formula_data(name, {config_.dim}, 0.5).to(options_); }
  at::Tensor near_one(const std::string& name) const {
    return (formula_data(name, {config_.dim}, 0.3) + 1).to(options_);
  }
  Linear linear(const std::string& name, int64_t out, int64_t in) const {
    return {formula_data(name + ".w", {out, in}, 1.7 / std::sqrt(double(in))).to(options_),
            formula_data(name + ".b", {out}, 0.1).to(options_)};
  }

  TransformerConfig config_;
  at::TensorOptions options_;
  Rotation rotation_;
  TokenSplit split_;
  LayerWeights weights_;
  LayerModulation modulation_;
};

at::Tensor plain_linear(const at::Tensor& x, const Linear& layer) { return at::linear(x, layer.weight, layer.bias); }

// One operator for each line of the published layer.
void plain_layer(at::Tensor& x, const Layer& layer, LayerState& state) {
  const auto& [w, m, context] = std::tuple{layer.weights(), layer.modulation(), layer.context()};
  const double eps = context.config.eps;
  const auto split = [&](const at::Tensor& t) { return t.unflatten(-1, {context.config.heads, -1}); };

  at::Tensor normed = plain::modulated_norm(x, m.attention_shift, m.attention_scale, eps);
  const auto qkv = plain_linear(normed, w.self_qkv).chunk(3, -1);
  const at::Tensor q = split(at::empty_like(normed));
  const KeyRange staged = state.kv.stage(kFrames);
  plain::rms_norm_rope_out(q, qkv[0], w.self_norm_q, eps, context.rotation);
  plain::rms_norm_rope_out(staged.keys, qkv[1], w.self_norm_k, eps, context.rotation);
  staged.values.copy_(split(qkv[2]));
  const at::Tensor attended = block_attention(q, state.kv, state.external, context.attention, context.pass).flatten(-2);
  plain::add_gated_(x, plain_linear(attended, w.self_out), m.attention_gate);

  normed = at::layer_norm(x, {x.size(-1)}, w.cross_norm.weight, w.cross_norm.bias, eps);
  const at::Tensor text_q = split(plain::rms_norm(plain_linear(normed, w.cross_q), w.cross_norm_q, eps));
  x.add_(plain_linear(attention(text_q, state.text.keys, state.text.values).flatten(-2), w.cross_out));

  normed = plain::modulated_norm(x, m.ffn_shift, m.ffn_scale, eps);
  plain::add_gated_(x, plain_linear(plain::gelu_(plain_linear(normed, w.ffn_up)), w.ffn_down), m.ffn_gate);
}

void expect_layer_like_reference(int64_t heads, int64_t head_dim, at::TensorOptions options) {
  const double bound = options.dtype() == at::kFloat ? 5e-6 : 8e-3;
  const Layer layer(config_of(heads, head_dim), options);
  LayerState state = layer.state(), reference_state = layer.state(), staged_state = layer.state();
  at::Tensor x = layer.input(), reference = layer.input();
  transformer_layer(x, layer.weights(), layer.modulation(), layer.context(), state);
  plain_layer(reference, layer, reference_state);
  EXPECT_TENSORS_NEAR_IN_NORM(x, reference, bound);
  EXPECT_GT(testing::relative_norm_error(x, layer.input()), 0.1) << "a layer that does something";

  stage_keys_values(layer.input(), layer.weights(), layer.modulation(), layer.context(), staged_state);
  for (const LayerState* each : {&state, &staged_state}) {
    EXPECT_TENSORS_NEAR_IN_NORM(each->kv.block().keys, reference_state.kv.block().keys, bound);
    EXPECT_TENSORS_NEAR_IN_NORM(each->kv.block().values, reference_state.kv.block().values, bound);
  }
}

void expect_layers_like_reference(at::Device device) {
  for (const auto dtype : {at::kFloat, at::kBFloat16})
    for (const auto& [heads, head_dim] : {std::pair{1, 64}, std::pair{5, 64}, std::pair{12, 128}})
      expect_layer_like_reference(heads, head_dim, at::TensorOptions(device).dtype(dtype));
}

TEST(TransformerLayer, IsLikeTheReference) { expect_layers_like_reference(at::kCPU); }

TEST(TransformerLayerCuda, IsLikeTheReference) {
  FLASHBLOCK_NEED_CUDA();
  expect_layers_like_reference(testing::kGpu);
}

}  // namespace
}  // namespace flashblock
