#include "tests/language/language_cases.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <nlohmann/json.hpp>

#include "tests/support/formula_checkpoint.h"

namespace flashblock::testing {

std::shared_ptr<const LanguageModel> language_parity_model(const WeightStore& data, at::ScalarType dtype,
                                                           const std::string& suffix, at::Device device,
                                                           LayerPlacement placement) {
  const std::string& config = data.metadata().at("config" + suffix);
  const double head_scale = std::stod(data.metadata().at("head_scale" + suffix));
  return LanguageModel::load(
      WeightStore::from_tensors(language_formula_tensors(nlohmann::json::parse(config), head_scale)),
      language_config_from_json(config, "parity data"), device, dtype, placement);
}

std::shared_ptr<const LanguageModel> small_language_model(at::Device device) {
  const nlohmann::json config = {{"model_type", "sdar"},     {"vocab_size", 96},       {"hidden_size", 48},
                                 {"intermediate_size", 80},  {"num_hidden_layers", 2}, {"num_attention_heads", 4},
                                 {"num_key_value_heads", 2}, {"head_dim", 32},         {"block_size", 4},
                                 {"mask_token_id", 95},      {"eos_token_id", 94}};
  return LanguageModel::load(WeightStore::from_tensors(language_formula_tensors(config, 8)),
                             language_config_from_json(config.dump(), "small model"), device, at::kFloat);
}

at::Tensor ids_of(const std::vector<int64_t>& tokens) { return at::tensor(tokens, at::kLong).unsqueeze(0); }

at::Tensor some_ids(int64_t count, int64_t vocabulary, int64_t seed) {
  return (formula_data("ids " + std::to_string(seed), {1, count}, 0.5).add(0.5) * double(vocabulary))
      .to(at::kLong)
      .clamp(0, vocabulary - 1);
}

void KeptStates::observe(const AttentionObservation& observation) {
  const auto copy = [](const AttentionState& state) { return AttentionState{state.output.clone(), state.lse.clone()}; };
  layers[observation.layer] = {copy(observation.external), copy(observation.internal)};
}

}  // namespace flashblock::testing
