#include "models/lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/matmul.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "core/error.h"
#include "models/lora_names.h"
#include "models/lora_strength.h"
#include "weights/finite_values.h"
#include "weights/tensor_table.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

/// An adapter's tensors for one module of the model; undefined where it has none.
struct ModuleChange {
  std::string spelling;        ///< of the module, in the adapter
  at::Tensor down;             ///< A [rank, in...]
  at::Tensor up;               ///< B [out, rank]
  at::Tensor up_bias;          ///< [out]
  at::Tensor alpha;            ///< one number
  at::Tensor weight_diff;      ///< shape of the weight
  at::Tensor bias_diff;        ///< shape of the bias
  at::Tensor modulation_diff;  ///< shape of the modulation

  at::Tensor& at(LoraRole role) {
    switch (role) {
      case LoraRole::kDown:
        return down;
      case LoraRole::kUp:
        return up;
      case LoraRole::kUpBias:
        return up_bias;
      case LoraRole::kAlpha:
        return alpha;
      case LoraRole::kWeightDiff:
        return weight_diff;
      case LoraRole::kBiasDiff:
        return bias_diff;
      case LoraRole::kModulationDiff:
        break;
    }
    return modulation_diff;
  }

  int64_t rank() const { return down.size(0); }
  bool has_difference() const { return weight_diff.defined() || bias_diff.defined() || modulation_diff.defined(); }
};

/// The strength of a module's product: from its own alpha, else from the adapter's configuration.
LoraStrength strength_of(const ModuleChange& change, const LoraConfig& config) {
  if (!change.alpha.defined() || change.alpha.numel() != 1) return config.strength(change.spelling, change.rank());
  const double alpha = change.alpha.reshape({}).to(at::kDouble).item<double>();
  return {.factor = alpha / static_cast<double>(change.rank()), .alpha = alpha, .alpha_from = "its alpha tensors"};
}

/// One adapter, matched to the model that it changes.
class AdapterReader {
 public:
  AdapterReader(const WeightStore& base, const LoraModules& modules, const LoraAdapter& adapter)
      : base_(base), modules_(modules), adapter_(adapter), config_(*adapter.weights) {}

  /// Adds the adapter's changes to `changes`, by tensor of the base.
  void read(std::map<std::string, std::vector<WeightStore::Change>>& changes) {
    for (const std::string& name : adapter_.weights->names()) collect(name);
    for (const auto& [module, change] : found_) add(module, change, changes);
    if (!faults_.empty())
      throw WeightsError(adapter_.weights->path().string() + ": the adapter does not fit the transformer: " +
                         join_faults(faults_) + "; check that it was made for this model");
    if (found_.empty())
      throw WeightsError(adapter_.weights->path().string() +
                         ": holds no adapter (no tensor ends in .lora_A.weight, .lora_down.weight or .diff), wanted a "
                         "LoRA file");
  }

 private:
  void collect(const std::string& name) {
    if (is_other_adapter(name))
      throw WeightsError(adapter_.weights->path().string() + ": '" + name +
                         "' belongs to an adapter that is no plain product of two matrices, which is not supported; "
                         "merge it into the transformer with the program that made it");
    const auto tensor = parse_lora_name(name);
    if (!tensor) return fault("unexpected '" + name + "'");
    const auto target = modules_.find(tensor->module);
    if (!target) return fault("'" + name + "' changes a module that the model does not have");
    ModuleChange& change = found_[*target];
    change.spelling = tensor->module;
    at::Tensor& place = change.at(tensor->role);
    if (place.defined()) return fault("'" + name + "' occurs twice under different names");
    place = adapter_.weights->tensor(name);
    if (!all_finite(place))
      throw WeightsError(adapter_.weights->path().string() + ": '" + name +
                         "' has numbers that are not finite; the training of this adapter diverged, or the file is "
                         "damaged: take another checkpoint of it");
    if (tensor->role != LoraRole::kAlpha && !at::isFloatingType(place.scalar_type()))
      fault("'" + name + "' has the dtype " + toString(place.scalar_type()) + ", wanted a floating-point type");
  }

  void add(const std::string& module, const ModuleChange& change,
           std::map<std::string, std::vector<WeightStore::Change>>& changes) {
    if (change.down.defined() != change.up.defined())
      return fault("'" + module + "' has only one of the two matrices of a product");
    if (change.up_bias.defined() && !change.up.defined())
      return fault("'" + module + "' has the bias of a product without its matrices");
    if (change.down.defined()) add_product(module, change, changes);
    // A parameter by its own name, as ComfyUI spells it, or that of a module.
    const std::string weight = base_.contains(module) ? module : module + ".weight";
    if (change.weight_diff.defined()) add_difference(weight, change.weight_diff, 1, changes);
    if (change.bias_diff.defined()) add_difference(module + ".bias", change.bias_diff, 1, changes);
    if (change.modulation_diff.defined()) add_difference(module + ".modulation", change.modulation_diff, 1, changes);
  }

  void add_product(const std::string& module, const ModuleChange& change,
                   std::map<std::string, std::vector<WeightStore::Change>>& changes) {
    const std::string name = module + ".weight";
    if (!base_.contains(name)) return fault("'" + module + "' is a product, and the model has no weight there");
    const std::vector<int64_t> shape = base_.shape(name);
    const at::Tensor down = change.down.dim() > 1 ? change.down.flatten(1) : change.down;
    const at::Tensor up = change.up.dim() > 1 ? change.up.flatten(1) : change.up;
    int64_t in = 1;
    for (size_t axis = 1; axis < shape.size(); ++axis) in *= shape[axis];
    if (shape.empty() || down.dim() != 2 || up.dim() != 2 || down.size(0) < 1 || up.size(1) != down.size(0) ||
        up.size(0) != shape[0] || down.size(1) != in)
      return fault("the matrices of '" + module + "' are " + text_of(change.up) + " and " + text_of(change.down) +
                   ", the weight is " + text_of(shape));
    if (change.alpha.defined() && change.alpha.numel() != 1)
      fault("'" + module + ".alpha' has " + std::to_string(change.alpha.numel()) + " numbers, wanted one");
    const double strength = strength_of(change, config_).factor;
    changes[name].emplace_back([=, factor = adapter_.scale * strength](const at::Tensor& weight) {
      return weight + (at::matmul(up.to(at::kFloat), down.to(at::kFloat)) * factor).view(weight.sizes());
    });
    if (change.up_bias.defined()) add_difference(module + ".bias", change.up_bias, strength, changes);
  }

  void add_difference(const std::string& name, const at::Tensor& difference, double strength,
                      std::map<std::string, std::vector<WeightStore::Change>>& changes) {
    if (!base_.contains(name) || base_.shape(name) != difference.sizes().vec())
      return fault(
          "the difference for '" + name + "' is " + text_of(difference) +
          (base_.contains(name) ? ", the tensor " + text_of(base_.shape(name)) : ", and there is no such tensor"));
    changes[name].emplace_back([=, scale = adapter_.scale * strength](const at::Tensor& weight) {
      return weight + difference.to(at::kFloat) * scale;
    });
  }

  static std::string text_of(const std::vector<int64_t>& shape) {
    std::string text;
    for (const int64_t size : shape) text += (text.empty() ? "[" : ", ") + std::to_string(size);
    return text.empty() ? "[]" : text + "]";
  }
  static std::string text_of(const at::Tensor& tensor) { return text_of(tensor.sizes().vec()); }

  void fault(std::string text) { faults_.push_back(std::move(text)); }

  const WeightStore& base_;
  const LoraModules& modules_;
  const LoraAdapter& adapter_;
  const LoraConfig config_;
  std::map<std::string, ModuleChange> found_;  ///< by their names in the base
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
  const LoraModules modules(*base);
  for (const LoraAdapter& adapter : adapters) AdapterReader(*base, modules, adapter).read(lists);
  std::map<std::string, WeightStore::Change> changes;
  for (auto& [name, list] : lists)
    changes[name] = [list = std::move(list)](const at::Tensor& weight) { return merged(weight, list); };
  return base->with_changes(changes);
}

bool is_lora(const WeightStore& weights) {
  for (const std::string& name : weights.names()) {
    const auto tensor = parse_lora_name(name);
    if (is_other_adapter(name) || (tensor && tensor->role != LoraRole::kAlpha)) return true;
  }
  return false;
}

LoraSummary describe_lora(const WeightStore& adapter) {
  std::map<std::string, ModuleChange> modules;
  std::vector<std::string> faults;
  for (const std::string& name : adapter.names()) {
    if (is_other_adapter(name))
      throw WeightsError(adapter.path().string() + ": '" + name + "' belongs to an adapter that is no plain product");
    const auto tensor = parse_lora_name(name);
    if (!tensor) {
      faults.push_back("unexpected '" + name + "'");
      continue;
    }
    ModuleChange& change = modules[tensor->module];
    change.spelling = tensor->module;
    change.at(tensor->role) = adapter.tensor(name);
  }
  if (!faults.empty()) throw WeightsError(adapter.path().string() + ": " + join_faults(faults));
  const LoraConfig config(adapter);
  LoraSummary summary;
  for (const auto& [module, change] : modules) {
    summary.differences += change.has_difference();
    if (!change.down.defined() || change.down.dim() < 2 || change.rank() < 1) continue;
    const LoraStrength strength = strength_of(change, config);
    ++summary.products;
    summary.rank.add(static_cast<double>(change.rank()));
    summary.alpha.add(strength.alpha);
    summary.strength.add(strength.factor);
    summary.alpha_from.insert(strength.alpha_from);
    summary.square_root = summary.square_root || strength.square_root;
  }
  return summary;
}

}  // namespace flashblock
