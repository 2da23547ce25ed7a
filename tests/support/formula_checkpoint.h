// Whole models with formula weights, in the geometries of the parity data.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/formula_weights.h"
#include "weights/published_shapes.h"
#include "weights/weight_store.h"

namespace flashblock::testing {

using flashblock::language_shapes;
using flashblock::NamedShape;
using flashblock::taehv22_shapes;
using flashblock::taehv22_super_shapes;
using flashblock::taehv_shapes;
using flashblock::transformer_shapes;
using flashblock::umt5_shapes;
using flashblock::upscale_vae_shapes;
using flashblock::vae_shapes;
using flashblock::wan22_vae_shapes;

/// Formula weights for all shapes, in memory.
std::vector<std::pair<std::string, at::Tensor>> formula_tensors(const std::vector<NamedShape>& shapes,
                                                                std::string_view salt = kFormulaSalt);
std::shared_ptr<const WeightStore> formula_store(const std::vector<NamedShape>& shapes,
                                                 std::string_view salt = kFormulaSalt);

/// Formula weights of a language model; `config` is a published config.json. The embedding has bound 1, the head
/// `head_scale` times its ordinary bound.
std::map<std::string, at::Tensor> language_formula_tensors(const nlohmann::json& config, double head_scale);

/// The transformer that a recording was made with: with `dual_full_expert`, the weights of the clean pass, too.
std::vector<NamedShape> recorded_transformer_shapes(const nlohmann::json& config);

/// The VAE that a recorded video is decoded with: its metadata key `vae`, with `decoder_dim` for that of Wan2.2.
std::vector<NamedShape> recorded_vae_shapes(const nlohmann::json& vae);

/// A file of tests/data/parity, such as "umt5_small", with the tensors that its metadata key `formula` gives in place
/// of storing them; `parity_config` is its metadata key `config`, parsed.
std::shared_ptr<const WeightStore> parity_data(const std::string& name);
/// The path of that file; where tensors are given by the formula, that of a whole copy written into `folder`.
std::filesystem::path whole_parity_file(const std::string& name, const std::filesystem::path& folder);
nlohmann::json parity_config(const WeightStore& data, const std::string& key = "config");

}  // namespace flashblock::testing
