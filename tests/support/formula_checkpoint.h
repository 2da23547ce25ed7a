// Whole models with formula weights, in the geometries of the parity data.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/weight_store.h"
#include "tests/support/formula_weights.h"

namespace flashblock::testing {

/// A state-dict key as published, and its shape.
using NamedShape = std::pair<std::string, std::vector<int64_t>>;

/// The Wan transformer of a parity file's `config`: keys dim, num_layers, ffn_dim, freq_dim, text_dim, in_dim, out_dim,
/// patch_size. Source: Self-Forcing wan/modules/causal_model.py, state dict.
std::vector<NamedShape> transformer_shapes(const nlohmann::json& config);

/// The UMT5 encoder of a parity file's `config`: vocab_size, dim, dim_attn, dim_ffn, num_heads, num_layers,
/// num_buckets. Source: Self-Forcing wan/modules/t5.py, state dict.
std::vector<NamedShape> umt5_shapes(const nlohmann::json& config);

/// The Wan VAE of width `dim` (published: 96), encoder and decoder. Source: Self-Forcing wan/modules/vae.py, state
/// dict.
std::vector<NamedShape> vae_shapes(int64_t dim);

/// The tiny autoencoder TAEHV for 16 latent channels. Source: Self-Forcing demo_utils/taehv.py, state dict.
std::vector<NamedShape> taehv_shapes();

/// Formula weights for all shapes, in memory.
std::vector<std::pair<std::string, at::Tensor>> formula_tensors(const std::vector<NamedShape>& shapes,
                                                                std::string_view salt = kFormulaSalt);
std::shared_ptr<const WeightStore> formula_store(const std::vector<NamedShape>& shapes,
                                                 std::string_view salt = kFormulaSalt);

/// A file of tests/data/parity, such as "umt5_small"; `parity_config` is its metadata key `config`, parsed.
std::shared_ptr<const WeightStore> parity_data(const std::string& name);
nlohmann::json parity_config(const WeightStore& data, const std::string& key = "config");

}  // namespace flashblock::testing
