// The names of adapters' tensors: prefixes of trainers x modules of the model x endings for the parts of an adapter.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace flashblock {

class WeightStore;

/// What an adapter's tensor is to the module that it changes.
enum class LoraRole {
  kDown,            ///< A of B A
  kUp,              ///< B of B A
  kUpBias,          ///< of B: is added to the module's bias, at the strength of the product
  kAlpha,           ///< one number
  kWeightDiff,      ///< is added to the weight
  kBiasDiff,        ///< is added to the bias
  kModulationDiff,  ///< is added to the module's `modulation`
};

/// An adapter's tensor.
struct LoraTensor {
  std::string module;  ///< as the file spells it
  LoraRole role;
};

/// Splits a tensor's name into module and role; none if it is not that of an adapter's tensor.
std::optional<LoraTensor> parse_lora_name(std::string name);

/// Whether a tensor of that name belongs to an adapter that is no plain product of two matrices: DoRA, LoHa, LoKr, the
/// middle matrix of LoCon.
bool is_other_adapter(const std::string& name);

/// The modules and parameters of a model under all spellings that adapters use for them: Wan's names or diffusers',
/// with dots or underscores, after any of the prefixes that trainers write.
class LoraModules {
 public:
  explicit LoraModules(const WeightStore& model);

  /// The model's name for the module, or the parameter, that an adapter calls `spelling`; none if it has no such one.
  std::optional<std::string> find(const std::string& spelling) const;

 private:
  std::map<std::string, std::string> names_;  ///< by their spellings with `_` for `.`
};

}  // namespace flashblock
