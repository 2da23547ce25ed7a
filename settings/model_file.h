// Models: found by path or name, and read. Model files are YAML with the files of a model, its recipe and the defaults
// of its videos. Format: docs/config.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/recipe.h"
#include "settings/strict_yaml.h"

namespace flashblock {

/// The folders that are searched for models, in this order: those of $FLASHBLOCK_MODELS (separated by colons), then
/// flashblock/models in the user's data folder (~/.local/share), then share/flashblock/models, assets and
/// configs/models in the folders above the program: an installation, a bundle or a source tree.
std::vector<std::filesystem::path> model_folders();

/// The model file or folder of that name: a path; or NAME, NAME.yaml or NAME/model.yaml in a model folder.
/// Throws: WeightsError that lists the folders searched.
std::filesystem::path find_model(const std::string& name);

/// The first `NAME` in the model folders that is `wanted`; nothing if none is. For models of the program's own: unlike
/// find_model it does not ask whether the current folder holds something of that name.
std::optional<std::filesystem::path> find_in_model_folders(
    const std::string& name, const std::function<bool(const std::filesystem::path&)>& wanted);

/// Reads a model file, or `model.yaml` in a folder. Paths become absolute, and `${NAME}` is replaced by the value of
/// that environment variable. Does not check that the files exist: see check_model_files.
/// Throws: WeightsError if there is no such model file; ConfigError for errors in it.
ModelDescription load_model_file(const std::filesystem::path& file_or_folder);

/// An adapter: `FILE`, `FILE=SCALE` or a mapping with `file`, `scale` and `weights`. Throws: ConfigError.
LoraFile read_lora(const YamlValue& value, const std::filesystem::path& folder);

/// Throws: ConfigError if keys of the recipe contradict each other, such as a window that the sink fills. The message
/// begins with `where`.
void check_recipe(const Recipe& recipe, const std::string& where);

/// The parts of a model. A run may need only some of them.
enum class ModelPart { kTransformer, kTextEncoder, kTokenizer, kVae };

/// Throws: WeightsError listing all files of the `needed` parts that are not named or do not exist; LoRA files and the
/// transformer's config belong to the transformer.
void check_model_files(const ModelDescription& model, const std::vector<ModelPart>& needed);

}  // namespace flashblock
