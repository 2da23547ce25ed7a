// One layer of the video transformer.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/attention_config.h"
#include "attention/rope.h"
#include "models/modulation.h"
#include "models/token_split.h"
#include "models/transformer_state.h"
#include "models/transformer_weights.h"

namespace flashblock {

/// Arguments of a layer besides its input and weights.
struct LayerContext {
  const TransformerConfig& config;
  const AttentionConfig& attention;
  Pass pass;
  const Rotation& rotation;  ///< of this process's tokens of the frame block
  int64_t frames;            ///< latent frames of the frame block
  const TokenSplit& split;
  CrossAttentionCache LayerState::*text = &LayerState::text;
};

/// Runs the layer on this process's tokens x [B, L, dim] in place; stages the frame block's keys and values in `state`.
/// Source: Self-Forcing `wan/modules/causal_model.py` CausalWanAttentionBlock.
void transformer_layer(at::Tensor& x, const LayerWeights& weights, const LayerModulation& modulation,
                       const LayerContext& context, LayerState& state);

/// Only stages keys and values, which is all that the clean pass needs of the last layer; does not change x.
void stage_keys_values(const at::Tensor& x, const LayerWeights& weights, const LayerModulation& modulation,
                       const LayerContext& context, LayerState& state);

/// Keys and values of the text for the cross-attention. Shape: text [B, text_len, dim].
CrossAttentionCache text_keys_values(const at::Tensor& text, const LayerWeights& weights,
                                     const TransformerConfig& config);

}  // namespace flashblock
