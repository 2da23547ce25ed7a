// Model files: YAML that names a model's weights, its recipe and what it renders by default. Format: docs/config.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/recipe.h"
#include "settings/strict_yaml.h"

namespace flashblock {

/// Reads a model file, or `model.yaml` in a folder. Paths become absolute, `${NAME}` the environment's value.
/// Whether the files exist is not looked at: see check_model_files.
/// Throws: WeightsError if there is no such model file; ConfigError for what is wrong in it.
ModelDescription load_model_file(const std::filesystem::path& file_or_folder);

/// Sets the fields of `recipe` whose keys are in `map`, and leaves the others. Calls map.finish().
/// Throws: ConfigError for an unknown key or a value out of range; relations between keys are check_recipe's.
void read_recipe(YamlMap map, Recipe& recipe);

/// As read_recipe, for the `defaults` of a model.
void read_whole_video_defaults(YamlMap map, VideoDefaults& defaults);

/// Throws: ConfigError if keys of the recipe contradict each other, such as a window that the sink fills.
/// `where` begins the message.
void check_recipe(const Recipe& recipe, const std::string& where);

/// Sizes of frames as `WIDTHxHEIGHT`, in pixels. Throws: ConfigError through value.fail.
std::pair<int64_t, int64_t> read_size(const YamlValue& value);

/// The parts of a model that a run may or may not need.
enum class ModelPart { kTransformer, kTextEncoder, kTokenizer, kVae };

/// Throws: WeightsError listing all `needed` files that are not named or not there; LoRA files and the transformer's
/// config belong to the transformer.
void check_model_files(const ModelDescription& model, const std::vector<ModelPart>& needed);

}  // namespace flashblock
