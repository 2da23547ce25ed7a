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
  /// Tensors of kinds that are not read, and what would make them in Python. A set with any cannot be used.
  std::map<std::string, std::string> unread;
};

/// The contents of a checkpoint path.
struct CheckpointContents {
  std::vector<TensorSet> sets;
  std::map<std::string, std::string> metadata;
  std::vector<std::filesystem::path> files;
};

/// Reads a file, a sharded index or a folder with one of these. The container is detected by the file's first bytes.
/// A file that holds several models under prefixes of their own gives a set for each (split_models).
/// Throws: WeightsError if the path is missing, damaged, ambiguous, or an unsupported container.
CheckpointContents read_checkpoint(const std::filesystem::path& path);

/// Whether the name is that of a file of weights, or of an index of several.
bool is_weights_file(const std::filesystem::path& path);

/// The checkpoint file of a folder, which may hold several forms of the same weights: its only index of safetensors
/// files, else its only `*.safetensors`, else its only other `*.index.json`, else its only `*.pt`, `*.pth` or `*.bin`,
/// else its only `*.gguf`. A variant (`model.fp16.safetensors` beside `model.safetensors`) and what trainers write
/// beside weights (`training_args.bin`, `optimizer.pt`, ...) do not count. Throws: WeightsError if there is none, or
/// several of the same kind (it lists them).
std::filesystem::path find_checkpoint_in_folder(const std::filesystem::path& folder);

}  // namespace flashblock
