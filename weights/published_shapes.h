// The tensors of the published architectures, by name and shape: for models with synthetic weights.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace flashblock {

/// A state-dict key as published, and its shape.
using NamedShape = std::pair<std::string, std::vector<int64_t>>;

/// A Wan transformer. `config` has its sizes under Wan's names: dim, num_layers, ffn_dim, freq_dim, text_dim, in_dim,
/// out_dim, patch_size. Source: Self-Forcing wan/modules/causal_model.py, state dict.
std::vector<NamedShape> transformer_shapes(const nlohmann::json& config);

/// A UMT5 encoder. `config`: vocab_size, dim, dim_attn, dim_ffn, num_heads, num_layers, num_buckets.
/// Source: Self-Forcing wan/modules/t5.py, state dict.
std::vector<NamedShape> umt5_shapes(const nlohmann::json& config);

/// A block-diffusion language model. `config` has its sizes as in published config.json files: vocab_size, hidden_size,
/// intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, tie_word_embeddings.
/// Source: JetAstra/SDAR modeling_sdar.py, state dict.
std::vector<NamedShape> language_shapes(const nlohmann::json& config);

/// The Wan VAE of width `dim` (published: 96), encoder and decoder. Source: Self-Forcing wan/modules/vae.py, state
/// dict.
std::vector<NamedShape> vae_shapes(int64_t dim);

/// The same with a head for twice the size. Source: spacepxl/Wan2.1-VAE-upscale2x, model card.
std::vector<NamedShape> upscale_vae_shapes(int64_t dim);

/// The VAE of Wan2.2 of widths `dim` (encoder, published: 160) and `decoder_dim` (256).
/// Source: Wan2.2 wan/modules/vae2_2.py, state dict.
std::vector<NamedShape> wan22_vae_shapes(int64_t dim, int64_t decoder_dim);

/// The tiny autoencoder TAEHV for 16 latent channels. Source: Self-Forcing demo_utils/taehv.py, state dict.
std::vector<NamedShape> taehv_shapes();

/// The decoders of taew2_2 and of its larger variant, for 48 latent channels. Source: madebyollin/taehv taehv.py.
std::vector<NamedShape> taehv22_shapes();
std::vector<NamedShape> taehv22_super_shapes();

}  // namespace flashblock
