// Geometry of a video transformer, read from the model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "models/video_geometry.h"

namespace flashblock {

class WeightStore;

/// Sizes of a Wan video transformer.
/// Source: Self-Forcing `wan/modules/model.py`, WanModel constructor.
struct TransformerConfig {
  int64_t dim = 0;            ///< width of a token
  int64_t heads = 0;          ///< attention heads
  int64_t layers = 0;         ///< transformer layers
  int64_t ffn_dim = 0;        ///< width of the feed-forward
  int64_t freq_dim = 256;     ///< length of the sinusoid of the timestep
  int64_t text_dim = 0;       ///< width of the text embedding
  int64_t text_len = 512;     ///< rows the text embedding is padded to; padding is attended to
  int64_t in_channels = 16;   ///< latent channels in
  int64_t out_channels = 16;  ///< latent channels out
  PatchSize patch;            ///< latents per token
  double eps = 1e-6;          ///< of all norms
  /// The clean pass has weights of its own, under names with `memory_`. Source: SGF+, `dual_full_expert`.
  bool clean_pass_weights = false;

  int64_t head_dim() const { return dim / heads; }
  int64_t patch_volume() const { return patch.time * patch.height * patch.width; }

  /// Throws: ConfigError naming the first impossible size.
  void validate() const;
};

/// Sizes of a model: from the tensor shapes, then from a JSON text under `config` in the container's metadata, if there
/// is one, as in the demo model. Defaults: heads dim / 128, as in every published Wan model, or 0 if that is no whole
/// number; text_len 512; eps 1e-6.
/// Throws: WeightsError if the tensors are not those of a text-to-video Wan transformer.
TransformerConfig transformer_config_from_weights(const WeightStore& weights);

/// Sizes in the JSON text of a config.json, with Wan's keys (dim, num_heads, ...) or diffusers' (num_attention_heads,
/// attention_head_dim, ...); `base` provides the rest. `origin` is its name in error messages.
/// Throws: ConfigError for a text that is no JSON object or a value of the wrong type.
TransformerConfig transformer_config_from_json(const std::string& text, const std::string& origin,
                                               TransformerConfig base = {});

/// Sizes of a model: from its tensors, then from `config_file`, by default the config.json beside the weights, if there
/// is one and it states the same widths. The result is valid. Throws: WeightsError if the file cannot be read, and as
/// the functions above.
TransformerConfig read_transformer_config(const WeightStore& weights, std::filesystem::path config_file = {});

}  // namespace flashblock
