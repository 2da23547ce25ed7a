#include "models/lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "weights/name_layout.h"
#include "weights/tensor_table.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

/// An adapter's tensors for one module of the model; undefined where it has none.
struct ModuleChange {
  at::Tensor down;                    ///< A [rank, in...]
  at::Tensor up;                      ///< B [out, rank]
  at::Tensor alpha;                   ///< one number
  at::Tensor weight_diff, bias_diff;  ///< shapes of weight and bias
};

enum class Role { kDown, kUp, kAlpha, kWeightDiff, kBiasDiff };

struct Ending {
  std::string_view text;
  Role role;
};
constexpr Ending kEndings[] = {{".lora_A.weight", Role::kDown},    {".lora_B.weight", Role::kUp},
                               {".lora_down.weight", Role::kDown}, {".lora_up.weight", Role::kUp},
                               {".lora.down.weight", Role::kDown}, {".lora.up.weight", Role::kUp},
                               {".lora_A", Role::kDown},           {".lora_B", Role::kUp},
                               {".alpha", Role::kAlpha},           {".diff", Role::kWeightDiff},
                               {".diff_b", Role::kBiasDiff}};
// Name parts of adapters that are no plain product.
constexpr std::string_view kForeign[] = {".dora_scale", "lora_magnitude_vector", ".hada_w", ".lokr_w", ".lora_mid"};

bool take_end(std::string& name, std::string_view end) {
  if (name.size() < end.size() || name.compare(name.size() - end.size(), end.size(), end) != 0) return false;
  name.resize(name.size() - end.size());
  return true;
}

/// Splits `name` into the module and the role of the tensor; none if it is not an adapter's.
std::optional<Role> take_role(std::string& name) {
  // PEFT may put the adapter's name after the matrix: `lora_A.default.weight`.
  for (const std::string_view matrix : {".lora_A.", ".lora_B."}) {
    const size_t at = name.rfind(matrix);
    if (at == std::string::npos || !take_end(name, ".weight")) continue;
    name.resize(at + matrix.size() - 1);
  }
  for (const auto& [text, role] : kEndings)
    if (take_end(name, text)) return role;
  return std::nullopt;
}

/// alpha / rank from PEFT's adapter_config.json beside the weights; none if it is absent or does not state it.
std::optional<double> peft_alpha_over_rank(const std::filesystem::path& weights, double rank) {
  const std::filesystem::path folder = std::filesystem::is_directory(weights) ? weights : weights.parent_path();
  const std::filesystem::path file = folder / "adapter_config.json";
  std::ifstream stream(file);
  if (!stream) return std::nullopt;
  const auto config = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) throw WeightsError(file.string() + ": is not a JSON object; download the adapter again");
  const auto is_set = [&](const char* key) {
    const auto found = config.find(key);
    return found != config.end() && !found->is_null() && *found != false && !(found->is_object() && found->empty());
  };
  for (const char* key : {"use_dora", "alpha_pattern", "fan_in_fan_out"})
    if (is_set(key))
      throw WeightsError(file.string() + ": has " + key +
                         ", which is not supported; merge the adapter with PEFT's merge_and_unload");
  const auto alpha = config.find("lora_alpha");
  if (alpha == config.end() || !alpha->is_number()) return std::nullopt;
  return alpha->get<double>() / (is_set("use_rslora") ? std::sqrt(rank) : rank);
}

/// One adapter, matched to the model that it changes.
class AdapterReader {
 public:
  AdapterReader(const WeightStore& base, const LoraAdapter& adapter) : base_(base), adapter_(adapter) {
    const std::string weight = ".weight";
    for (std::string name : base.names()) {
      if (!take_end(name, weight)) continue;
      std::string underscored = name;
      std::replace(underscored.begin(), underscored.end(), '.', '_');
      modules_[underscored] = name;
    }
  }

  /// Adds the adapter's changes to `changes`, by tensor of the base.
  void read(std::map<std::string, std::vector<WeightStore::Change>>& changes) {
    for (const std::string& name : adapter_.weights->names()) collect(name);
    for (const auto& [module, change] : found_) add(module, change, changes);
    if (!faults_.empty())
      throw WeightsError(adapter_.weights->path().string() + ": the adapter does not fit the transformer: " +
                         join_faults(faults_) + "; check that it was made for this model");
    if (found_.empty())
      throw WeightsError(adapter_.weights->path().string() +
                         ": holds no adapter (no tensor ends in .lora_A.weight, .lora_down.weight or .diff); list a "
                         "LoRA file under `lora:`");
  }

 private:
  void collect(const std::string& name) {
    for (const std::string_view part : kForeign)
      if (name.find(part) != std::string::npos)
        throw WeightsError(adapter_.weights->path().string() + ": '" + name +
                           "' belongs to an adapter that is no plain product of two matrices, which is not supported; "
                           "merge it into the transformer with the program that made it");
    std::string module = name;
    const auto role = take_role(module);
    if (!role) return fault("unexpected '" + name + "'");
    const auto target = base_module(module);
    if (!target) return fault("'" + name + "' changes a module that the model does not have");
    ModuleChange& change = found_[*target];
    at::Tensor& place = *role == Role::kDown         ? change.down
                        : *role == Role::kUp         ? change.up
                        : *role == Role::kAlpha      ? change.alpha
                        : *role == Role::kWeightDiff ? change.weight_diff
                                                     : change.bias_diff;
    if (place.defined()) return fault("'" + name + "' occurs twice under different names");
    place = adapter_.weights->tensor(name);
    if (at::isFloatingType(place.scalar_type()) && !at::isfinite(place.to(at::kFloat)).all().item<bool>())
      throw WeightsError(adapter_.weights->path().string() + ": '" + name +
                         "' has numbers that are not finite; the training of this adapter diverged, or the file is "
                         "damaged: take another checkpoint of it");
    if (*role != Role::kAlpha && !at::isFloatingType(place.scalar_type()))
      fault("'" + name + "' has the dtype " + toString(place.scalar_type()) + ", wanted a floating-point type");
  }

  /// The model's name for the module that an adapter calls `name`.
  std::optional<std::string> base_module(const std::string& name) const {
    for (const std::string& candidate : {name, published_name(NameLayout::kTransformer, name)})
      if (base_.contains(candidate + ".weight")) return candidate;
    for (const std::string_view front : {"lora_unet_", "lora_transformer_", ""}) {
      if (name.compare(0, front.size(), front) != 0) continue;
      const auto found = modules_.find(name.substr(front.size()));
      if (found != modules_.end()) return found->second;
    }
    return std::nullopt;
  }

  void add(const std::string& module, const ModuleChange& change,
           std::map<std::string, std::vector<WeightStore::Change>>& changes) {
    if (change.down.defined() != change.up.defined())
      return fault("'" + module + "' has only one of the two matrices of a product");
    if (change.down.defined()) add_product(module, change, changes[module + ".weight"]);
    if (change.weight_diff.defined()) add_difference(module + ".weight", change.weight_diff, changes);
    if (change.bias_diff.defined()) add_difference(module + ".bias", change.bias_diff, changes);
  }

  void add_product(const std::string& module, const ModuleChange& change, std::vector<WeightStore::Change>& changes) {
    const std::vector<int64_t> shape = base_.shape(module + ".weight");
    const at::Tensor down = change.down.dim() > 1 ? change.down.flatten(1) : change.down;
    const at::Tensor up = change.up.dim() > 1 ? change.up.flatten(1) : change.up;
    int64_t in = 1;
    for (size_t axis = 1; axis < shape.size(); ++axis) in *= shape[axis];
    if (shape.empty() || down.dim() != 2 || up.dim() != 2 || down.size(0) < 1 || up.size(1) != down.size(0) ||
        up.size(0) != shape[0] || down.size(1) != in)
      return fault("the matrices of '" + module + "' are " + text_of(change.up) + " and " + text_of(change.down) +
                   ", the weight is " + text_of(base_.shape(module + ".weight")));
    const auto rank = static_cast<double>(down.size(0));
    const double factor = adapter_.scale * alpha_over_rank(module, change, rank);
    changes.emplace_back([=](const at::Tensor& weight) {
      return weight + (at::matmul(up.to(at::kFloat), down.to(at::kFloat)) * factor).view(weight.sizes());
    });
  }

  double alpha_over_rank(const std::string& module, const ModuleChange& change, double rank) {
    if (!change.alpha.defined()) return peft_alpha_over_rank(adapter_.weights->path(), rank).value_or(1.0);
    if (change.alpha.numel() == 1) return change.alpha.reshape({}).to(at::kDouble).item<double>() / rank;
    fault("'" + module + ".alpha' has " + std::to_string(change.alpha.numel()) + " numbers, wanted one");
    return 1.0;
  }

  void add_difference(const std::string& name, const at::Tensor& difference,
                      std::map<std::string, std::vector<WeightStore::Change>>& changes) {
    if (!base_.contains(name) || base_.shape(name) != difference.sizes().vec())
      return fault(
          "the difference for '" + name + "' is " + text_of(difference) +
          (base_.contains(name) ? ", the tensor " + text_of(base_.shape(name)) : ", and there is no such tensor"));
    changes[name].emplace_back(
        [=, scale = adapter_.scale](const at::Tensor& weight) { return weight + difference.to(at::kFloat) * scale; });
  }

  static std::string text_of(const std::vector<int64_t>& shape) {
    std::string text;
    for (const int64_t size : shape) text += (text.empty() ? "[" : ", ") + std::to_string(size);
    return text.empty() ? "[]" : text + "]";
  }
  static std::string text_of(const at::Tensor& tensor) { return text_of(tensor.sizes().vec()); }

  void fault(std::string text) { faults_.push_back(std::move(text)); }

  const WeightStore& base_;
  const LoraAdapter& adapter_;
  std::map<std::string, std::string> modules_;  ///< by their names with `_` for `.`
  std::map<std::string, ModuleChange> found_;   ///< by their names in the base
  std::vector<std::string> faults_;
};

at::Tensor merged(const at::Tensor& weight, const std::vector<WeightStore::Change>& changes) {
  at::Tensor sum = weight.to(at::kFloat);
  for (const WeightStore::Change& change : changes) sum = change(sum);
  return sum.to(weight.element_size() > 1 ? weight.scalar_type() : at::kBFloat16);
}

}  // namespace

std::shared_ptr<const WeightStore> with_lora(std::shared_ptr<const WeightStore> base,
                                             const std::vector<LoraAdapter>& adapters) {
  if (adapters.empty()) return base;
  std::map<std::string, std::vector<WeightStore::Change>> lists;
  for (const LoraAdapter& adapter : adapters) AdapterReader(*base, adapter).read(lists);
  std::map<std::string, WeightStore::Change> changes;
  for (auto& [name, list] : lists)
    changes[name] = [list = std::move(list)](const at::Tensor& weight) { return merged(weight, list); };
  return base->with_changes(changes);
}

}  // namespace flashblock
