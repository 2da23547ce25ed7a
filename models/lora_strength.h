// How strongly an adapter changes the model: alpha, and where it is stated.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace flashblock {

class WeightStore;

/// The adapter_config.json that belongs to an adapter: the one beside a file called adapter_model, or in the folder
/// that was named as the adapter. One that lies beside another file is that of another adapter. Empty if there is none.
std::filesystem::path lora_config_file(const std::filesystem::path& adapter);

/// What a product of rank r is multiplied with.
struct LoraStrength {
  double factor = 1;         ///< alpha / r, or alpha / sqrt(r)
  double alpha = 0;          ///< r where nothing states one
  std::string alpha_from;    ///< where it is stated, as an object: "the header's lora_adapter_metadata"
  bool square_root = false;  ///< divided by sqrt(r): rsLoRA
};

/// PEFT's configuration of an adapter. It is taken from the adapter's own header (`lora_adapter_metadata`, as diffusers
/// writes it), else from the adapter_config.json that belongs to it.
/// Source: PEFT `tuners/lora/config.py` and `utils/other.py` (get_pattern_key); diffusers `loaders/lora_base.py`.
class LoraConfig {
 public:
  /// Throws: WeightsError for a text that is no JSON object, and for settings with which the adapter is no plain
  /// product added to the published weights (use_dora, fan_in_fan_out, and initializations that change the weights).
  explicit LoraConfig(const WeightStore& adapter);

  /// The strength of a product without an alpha of its own. `module`: as the adapter spells it. Throws: WeightsError
  /// for an alpha_pattern that is a regular expression.
  LoraStrength strength(const std::string& module, int64_t rank) const;

 private:
  nlohmann::ordered_json config_;  ///< an object; empty if nothing is stated
  std::string origin_;             ///< for messages and info
};

}  // namespace flashblock
