#include "weights/model_component.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

// Prefixes of whole models; those of text encoders have the encoder's name behind them.
constexpr std::string_view kModelPrefixes[] = {
    "model.diffusion_model.", "diffusion_model.", "transformer.",   "text_encoder.", "vae.",
    "first_stage_model.",     "clip_vision.",     "image_encoder.",
};
constexpr std::string_view kTextEncoders = "text_encoders.";

struct ComponentName {
  std::string_view tensor;
  ModelComponent component;
};
constexpr ComponentName kComponentNames[] = {
    {"patch_embedding.weight", ModelComponent::kTransformer},
    {"token_embedding.weight", ModelComponent::kTextEncoder},
    {"shared.weight", ModelComponent::kTextEncoder},
    {"encoder.embed_tokens.weight", ModelComponent::kTextEncoder},
    {"token_embd.weight", ModelComponent::kTextEncoder},
    {"decoder.conv1.weight", ModelComponent::kVae},
    {"decoder.conv_in.weight", ModelComponent::kVae},
    {"decoder.0.weight", ModelComponent::kVae},
    {"decoder.1.weight", ModelComponent::kVae},
};

/// The prefix of a model that `name` begins with; empty if there is none.
std::string_view model_prefix(std::string_view name) {
  for (const std::string_view prefix : kModelPrefixes)
    if (name.starts_with(prefix)) return name.substr(0, prefix.size());
  if (!name.starts_with(kTextEncoders)) return {};
  const size_t dot = name.find('.', kTextEncoders.size());
  return dot == std::string_view::npos ? std::string_view() : name.substr(0, dot + 1);
}

template <typename Value>
void move_to(const std::filesystem::path& path, std::map<std::string, Value>& target, const std::string& name,
             Value value) {
  if (!target.emplace(name, std::move(value)).second)
    throw WeightsError(path.string() + ": the tensor '" + name + "' occurs with and without a model's prefix; use a " +
                       "checkpoint with one set of weights");
}

std::vector<TensorSet> split_set(const std::filesystem::path& path, TensorSet set) {
  std::map<std::string, TensorSet> models;  // by prefix
  size_t outside = 0;
  for (const auto& [name, tensor] : set.tensors) {
    const std::string prefix(model_prefix(name));
    prefix.empty() ? void(++outside) : void(models[prefix]);
  }
  if (models.empty() || (models.size() == 1 && outside > 0)) return {std::move(set)};
  const bool several = models.size() > 1;
  for (auto& [prefix, model] : models) {
    model.name = set.name;
    if (several) model.name += (set.name.empty() ? "" : ".") + prefix.substr(0, prefix.size() - 1);
  }
  std::vector<std::pair<std::string, StoredTensor>> others;
  for (auto& [name, tensor] : set.tensors) {
    const std::string prefix(model_prefix(name));
    if (prefix.empty())
      others.emplace_back(name, std::move(tensor));
    else
      move_to(path, models[prefix].tensors, name.substr(prefix.size()), std::move(tensor));
  }
  const auto is_transformer = [](const auto& model) {
    return component_of(model.second) == ModelComponent::kTransformer;
  };
  const auto transformer = std::find_if(models.begin(), models.end(), is_transformer);
  TensorSet& rest = (transformer == models.end() ? models.begin() : transformer)->second;
  for (auto& [name, tensor] : others) move_to(path, rest.tensors, name, std::move(tensor));
  for (auto& [name, maker] : set.unread) {
    const std::string prefix(model_prefix(name));
    const auto found = models.find(prefix);
    move_to(path, (found == models.end() ? rest : found->second).unread, name.substr(prefix.size()), std::move(maker));
  }
  std::vector<TensorSet> sets;
  sets.reserve(models.size());
  for (auto& [prefix, model] : models) sets.push_back(std::move(model));
  return sets;
}

}  // namespace

std::string name_of(ModelComponent component) {
  switch (component) {
    case ModelComponent::kTransformer:
      return "video transformer";
    case ModelComponent::kTextEncoder:
      return "text encoder";
    case ModelComponent::kVae:
      break;
  }
  return "VAE";
}

std::optional<ModelComponent> component_of(const TensorSet& set) {
  for (const auto& [name, tensor] : set.tensors) {
    const std::string own = strip_wrapper_prefixes(name);
    for (const auto& [wanted, component] : kComponentNames)
      if (own == wanted) return component;
  }
  return std::nullopt;
}

std::vector<TensorSet> split_models(const std::filesystem::path& path, std::vector<TensorSet> sets) {
  std::vector<TensorSet> models;
  for (TensorSet& set : sets)
    for (TensorSet& model : split_set(path, std::move(set))) models.push_back(std::move(model));
  return models;
}

}  // namespace flashblock
