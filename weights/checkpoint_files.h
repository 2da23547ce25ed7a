// Reads a checkpoint path: detects the container, collects its shards, finds the sets of weights inside.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "weights/stored_tensor.h"

namespace flashblock {

/// One dictionary of tensors, under their names in the file.
struct TensorSet {
  std::string name;  ///< path of the dictionary inside the file, such as `generator_ema`; empty if it is the whole file
  std::map<std::string, StoredTensor> tensors;
};

/// The contents of a checkpoint path.
struct CheckpointContents {
  std::vector<TensorSet> sets;
  std::map<std::string, std::string> metadata;
  std::vector<std::filesystem::path> files;
};

/// Reads a file, a sharded index or a folder with one of these. The container is detected by the file's first bytes.
/// Throws: WeightsError if the path is missing, damaged, ambiguous, or an unsupported container.
CheckpointContents read_checkpoint(const std::filesystem::path& path);

/// The checkpoint file of a folder: its only `*.index.json`, else its only `*.safetensors`, else its only
/// `*.pt`, `*.pth` or `*.bin`, else its only `*.gguf`. Throws: WeightsError if there is none, or several of the same
/// kind (it lists them).
std::filesystem::path find_checkpoint_in_folder(const std::filesystem::path& folder);

}  // namespace flashblock
