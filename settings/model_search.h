// Finds models by path, or by name in the model folders.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace flashblock {

/// The folders that are searched for models, in this order: those of $FLASHBLOCK_MODELS (separated by colons), then
/// flashblock/models in the user's data folder (~/.local/share), then share/flashblock/models, assets and
/// configs/models in the folders above the program: an installation, a bundle or a source tree.
std::vector<std::filesystem::path> model_folders();

/// The model file or folder of that name: a path; or NAME, NAME.yaml or NAME/model.yaml in a model folder.
/// Throws: WeightsError that lists the folders searched.
std::filesystem::path find_model(const std::string& name);

}  // namespace flashblock
