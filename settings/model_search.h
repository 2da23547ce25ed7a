// Where models are found: by path, or by name in the folders that models are kept in.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace flashblock {

/// The folders that models are looked for in, best first: those of $FLASHBLOCK_MODELS (separated by colons), then
/// flashblock/models in the user's data folder (~/.local/share), then share/flashblock/models, assets and
/// configs/models in the folders above the program: an installation, a bundle or a source tree.
std::vector<std::filesystem::path> model_folders();

/// The model file or folder that `name` stands for: a path; or NAME, NAME.yaml or NAME/model.yaml in a model folder.
/// Throws: WeightsError that lists where it looked.
std::filesystem::path find_model(const std::string& name);

}  // namespace flashblock
