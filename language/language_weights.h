// The tensors of a block-diffusion language model, and their names in published checkpoints.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <vector>

#include "language/language_config.h"

namespace flashblock {

class WeightStore;

/// Projections of one input, in order: the rows of their weights in one tensor, or a tensor each.
using Projections = std::vector<at::Tensor>;

/// How the projections of one input are stored.
enum class ProjectionStorage {
  kJoined,    ///< in one tensor: one product instead of several
  kSeparate,  ///< each by itself: on the CPU a view into its mapped file where the dtype allows
};

/// One layer. Norms [width] or [head_dim]; projections [out, in], without biases.
struct LanguageLayer {
  at::Tensor attention_norm, q_norm, k_norm, ffn_norm;
  Projections qkv;      ///< [heads * head_dim, width], [kv_heads * head_dim, width] twice
  at::Tensor out;       ///< [width, heads * head_dim]
  Projections gate_up;  ///< [ffn_dim, width] twice
  at::Tensor down;      ///< [width, ffn_dim]
};

/// All tensors of a layer, in a fixed order; of an empty one as of one with joined projections.
std::vector<at::Tensor*> tensors_of(LanguageLayer& layer);

/// Weights outside the layers.
struct LanguageEnds {
  at::Tensor embedding;  ///< [vocabulary, width]
  at::Tensor norm;       ///< [width]
  at::Tensor head;       ///< [vocabulary, width]; the embedding itself where they are tied
};

/// Throws: WeightsError listing all tensors that are missing, mis-shaped or unexpected. Names are those of published
/// checkpoints without `model.`; a tied head may be stored besides.
void check_language_weights(const WeightStore& store, const LanguageConfig& config);

/// Both require a store that check_language_weights accepts.
LanguageEnds load_language_ends(const WeightStore& store, const LanguageConfig& config, at::Device device,
                                at::ScalarType dtype);
LanguageLayer load_language_layer(const WeightStore& store, const LanguageConfig& config, int64_t layer,
                                  at::Device device, at::ScalarType dtype, ProjectionStorage storage);

}  // namespace flashblock
