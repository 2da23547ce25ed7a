#include "models/transformer_layer.h"

#include <ATen/ops/empty.h>

#include <vector>

#include "attention/attention.h"
#include "attention/block_attention.h"
#include "models/layers.h"

namespace flashblock {
namespace {

at::Tensor split_heads(const at::Tensor& x, int64_t heads) { return x.unflatten(-1, {heads, -1}); }

// Projected tokens to the heads that this process attends with, of all tokens.
void project(const at::Tensor& joined, at::ArrayRef<ProjectionPart> parts, const LayerContext& context) {
  if (context.split.is_whole()) return split_projection(joined, parts, context.config.eps, context.rotation);
  std::vector<ProjectionPart> own;
  std::vector<at::Tensor> tokens, heads;
  for (const ProjectionPart& part : parts) {
    tokens.push_back(context.split.empty_tokens(part.out));
    heads.push_back(part.out);
    own.push_back({tokens.back(), part.norm});
  }
  split_projection(joined, own, context.config.eps, context.rotation);
  context.split.tokens_to_heads(tokens, heads);
}

at::Tensor self_attention(const LinearInput& x, const LayerWeights& weights, const LayerContext& context,
                          LayerState& state) {
  const KeyRange staged = state.kv.stage(context.frames);
  const at::Tensor q = at::empty(staged.keys.sizes(), weights.self_norm_q.options());
  project(linear(x, weights.self_qkv),
          {{q, weights.self_norm_q}, {staged.keys, weights.self_norm_k}, {staged.values, {}}}, context);
  const at::Tensor attended = block_attention(q, state.kv, state.external, context.attention, context.pass);
  return linear(context.split.heads_to_tokens(attended).flatten(-2), weights.self_out);
}

at::Tensor cross_attention(const LinearInput& x, const LayerWeights& weights, const LayerContext& context,
                           const CrossAttentionCache& text) {
  const at::Tensor q = rms_norm(linear(x, weights.cross_q), weights.cross_norm_q, context.config.eps);
  return linear(attention(split_heads(q, context.config.heads), text.keys, text.values).flatten(-2), weights.cross_out);
}

}  // namespace

void transformer_layer(at::Tensor& x, const LayerWeights& weights, const LayerModulation& modulation,
                       const LayerContext& context, LayerState& state) {
  const double eps = context.config.eps;
  LinearInput normed =
      modulated_norm(x, modulation.attention_shift, modulation.attention_scale, eps, weights.self_qkv.precision());

  normed = add_gated_affine_norm(x, self_attention(normed, weights, context, state), modulation.attention_gate,
                                 weights.cross_norm, eps, weights.cross_q.precision());

  normed = add_modulated_norm(x, cross_attention(normed, weights, context, state.*context.text), modulation.ffn_shift,
                              modulation.ffn_scale, eps, weights.ffn_up.precision());

  add_gated_(x, feed_forward(normed, weights.ffn_up, weights.ffn_down), modulation.ffn_gate);
}

void stage_keys_values(const at::Tensor& x, const LayerWeights& weights, const LayerModulation& modulation,
                       const LayerContext& context, LayerState& state) {
  const LinearInput normed = modulated_norm(x, modulation.attention_shift, modulation.attention_scale,
                                            context.config.eps, weights.self_qkv.precision());
  const int64_t dim = context.config.dim;
  const auto of_kv = [&](const at::Tensor& t) { return t.defined() ? t.narrow(0, dim, 2 * dim) : t; };
  const Linear kv{of_kv(weights.self_qkv.weight), of_kv(weights.self_qkv.bias), of_kv(weights.self_qkv.scales)};
  const KeyRange staged = state.kv.stage(context.frames);
  project(linear(normed, kv), {{staged.keys, weights.self_norm_k}, {staged.values, {}}}, context);
}

CrossAttentionCache text_keys_values(const at::Tensor& text, const LayerWeights& weights,
                                     const TransformerConfig& config) {
  const auto k_and_v = linear(text, weights.cross_kv).chunk(2, -1);
  const at::Tensor keys = rms_norm(k_and_v[0], weights.cross_norm_k, config.eps);
  return {split_heads(keys, config.heads), split_heads(k_and_v[1].contiguous(), config.heads)};
}

}  // namespace flashblock
