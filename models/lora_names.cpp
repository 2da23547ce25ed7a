#include "models/lora_names.h"

#include <algorithm>
#include <string_view>

#include "weights/name_layout.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

struct Ending {
  std::string_view text;
  LoraRole role;
};
// PEFT; kohya's scripts and LyCORIS; diffusers before PEFT; differences of ComfyUI's extractors, of LyCORIS's norms and
// of lightx2v (diff_m).
constexpr Ending kEndings[] = {{".lora_A.weight", LoraRole::kDown},
                               {".lora_B.weight", LoraRole::kUp},
                               {".lora_B.bias", LoraRole::kUpBias},
                               {".lora_A", LoraRole::kDown},
                               {".lora_B", LoraRole::kUp},
                               {".lora_down.weight", LoraRole::kDown},
                               {".lora_up.weight", LoraRole::kUp},
                               {".lora_up.bias", LoraRole::kUpBias},
                               {".lora_down", LoraRole::kDown},
                               {".lora_up", LoraRole::kUp},
                               {".lora.down.weight", LoraRole::kDown},
                               {".lora.up.weight", LoraRole::kUp},
                               {".lora_linear_layer.down.weight", LoraRole::kDown},
                               {".lora_linear_layer.up.weight", LoraRole::kUp},
                               {".alpha", LoraRole::kAlpha},
                               {".diff", LoraRole::kWeightDiff},
                               {".diff_b", LoraRole::kBiasDiff},
                               {".diff_m", LoraRole::kModulationDiff},
                               {".w_norm", LoraRole::kWeightDiff},
                               {".b_norm", LoraRole::kBiasDiff}};

// Name parts of adapters that are no plain product.
constexpr std::string_view kOther[] = {
    ".dora_scale", "lora_magnitude_vector", ".hada_w", ".hada_t", ".lokr_w", ".lokr_t", ".lora_mid", ".oft_", ".boft_",
    ".glora_"};

// What trainers write before a module's name, with `_` for `.`: any number of them, one after the other. The second
// underscore of VideoX-Fun's `lora_unet__` is stripped with the first one.
constexpr std::string_view kPrefixes[] = {
    "lora_unet_", "lora_transformer_", "lora_dit_",   "lycoris_", "unet_",   "transformer_", "pipe_",
    "dit_",       "diffusion_model_",  "base_model_", "model_",   "module_", "orig_mod_"};

bool take_end(std::string& name, std::string_view end) {
  if (!name.ends_with(end)) return false;
  name.resize(name.size() - end.size());
  return true;
}

std::string underscored(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

}  // namespace

std::optional<LoraTensor> parse_lora_name(std::string name) {
  // PEFT may put the adapter's name after the matrix: `lora_A.default.weight`.
  for (const std::string_view matrix : {".lora_A.", ".lora_B."}) {
    const size_t at = name.rfind(matrix), last = name.rfind('.');
    if (at == std::string::npos || last < at + matrix.size()) continue;
    const std::string end = name.substr(last);
    if (end == ".weight" || end == ".bias") name = name.substr(0, at + matrix.size() - 1) + end;
  }
  for (const auto& [text, role] : kEndings)
    if (take_end(name, text)) return LoraTensor{std::move(name), role};
  return std::nullopt;
}

bool is_other_adapter(const std::string& name) {
  return std::any_of(std::begin(kOther), std::end(kOther),
                     [&](std::string_view part) { return name.find(part) != std::string::npos; });
}

LoraModules::LoraModules(const WeightStore& model) {
  for (const std::string& tensor : model.names()) {
    std::string module = tensor;
    if (!take_end(module, ".weight") && !take_end(module, ".bias")) take_end(module, ".modulation");
    for (const std::string& name : {module, tensor})
      for (const std::string& spelling : {name, diffusers_name(name)}) names_.emplace(underscored(spelling), name);
  }
}

std::optional<std::string> LoraModules::find(const std::string& spelling) const {
  const std::string name = underscored(spelling);
  for (std::string_view rest = name;;) {
    if (const auto found = names_.find(std::string(rest)); found != names_.end()) return found->second;
    const auto prefix = std::find_if(std::begin(kPrefixes), std::end(kPrefixes),
                                     [&](std::string_view front) { return rest.starts_with(front); });
    if (prefix == std::end(kPrefixes)) return std::nullopt;
    rest.remove_prefix(prefix->size());
    while (rest.starts_with('_')) rest.remove_prefix(1);
  }
}

}  // namespace flashblock
