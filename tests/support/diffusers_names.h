// Checkpoints in the names of diffusers and transformers, and in sharded files, as their packages write them.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "weights/weight_store.h"

namespace flashblock::testing {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// The package's name of the tensor that Wan's releases call `name`: the inverse of weights/name_layout, written
/// independently.
std::string package_name(NameLayout layout, std::string name);

/// All tensors under the package's names.
NamedTensors with_package_names(NameLayout layout, const NamedTensors& tensors);

/// STEM-0000N-of-0000M.safetensors and their index STEM.safetensors.index.json. Requires: shards <= 9.
void write_shards(const std::filesystem::path& folder, const std::string& stem, const NamedTensors& tensors,
                  size_t shards);

}  // namespace flashblock::testing
