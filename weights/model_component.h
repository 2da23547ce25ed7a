// The models of a video that one file may hold together, told apart by the names of tensors.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "weights/checkpoint_files.h"

namespace flashblock {

/// A model that a video needs weights of.
enum class ModelComponent { kTransformer, kTextEncoder, kVae };

/// "video transformer", "text encoder", "VAE".
std::string name_of(ModelComponent component);

/// Which of them a set of weights is, by names that each of its published kinds has; none for adapters and others.
std::optional<ModelComponent> component_of(const TensorSet& set);

/// Splits sets that hold several models under prefixes of their own, as all-in-one checkpoints do
/// (`model.diffusion_model.`, `text_encoders.NAME.`, `vae.`, ...), into one set each, named by the prefix; a single
/// model under such a prefix loses it. Tensors under none of the prefixes go to the transformer's set. Other sets stay
/// as they are. Source: ComfyUI `comfy/supported_models_base.py` (process_*_state_dict_for_saving) and
/// `comfy/supported_models.py` (vae_key_prefix, text_encoder_key_prefix); folders of diffusers pipelines.
/// Throws: WeightsError for a tensor that would then be in a set twice.
std::vector<TensorSet> split_models(const std::filesystem::path& path, std::vector<TensorSet> sets);

}  // namespace flashblock
