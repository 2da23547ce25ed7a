// Whole models with formula weights, in the geometries of the parity data.
#pragma once

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
using flashblock::taehv_shapes;
using flashblock::transformer_shapes;
using flashblock::umt5_shapes;
using flashblock::vae_shapes;

/// Formula weights for all shapes, in memory.
std::vector<std::pair<std::string, at::Tensor>> formula_tensors(const std::vector<NamedShape>& shapes,
                                                                std::string_view salt = kFormulaSalt);
std::shared_ptr<const WeightStore> formula_store(const std::vector<NamedShape>& shapes,
                                                 std::string_view salt = kFormulaSalt);

/// Formula weights of a language model; `config` is a published config.json. The embedding has bound 1, the head
/// `head_scale` times its ordinary bound.
std::map<std::string, at::Tensor> language_formula_tensors(const nlohmann::json& config, double head_scale);

/// A file of tests/data/parity, such as "umt5_small"; `parity_config` is its metadata key `config`, parsed.
std::shared_ptr<const WeightStore> parity_data(const std::string& name);
nlohmann::json parity_config(const WeightStore& data, const std::string& key = "config");

}  // namespace flashblock::testing
