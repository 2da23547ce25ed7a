// From a path to the tensors behind it: which container it is, its shards, and the sets of weights inside.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace flashblock {

/// One dictionary of tensors, with the names that the file gives them.
struct TensorSet {
  std::string name;  ///< path of the dictionary inside the file, such as `generator_ema`; empty if it is the whole file
  std::map<std::string, at::Tensor> tensors;
};

/// Everything that a checkpoint path stands for.
struct CheckpointContents {
  std::vector<TensorSet> sets;
  std::map<std::string, std::string> metadata;
  std::vector<std::filesystem::path> files;
};

/// Reads a file, a sharded index or a folder that holds one of these. The first bytes of a file decide what it is.
/// Throws: WeightsError if the path is missing, damaged, ambiguous, or a container that is not supported.
CheckpointContents read_checkpoint(const std::filesystem::path& path);

/// The file that a folder stands for: its only `*.index.json`, else its only `*.safetensors`, else its only
/// `*.pt`, `*.pth` or `*.bin`. Throws: WeightsError if there is none, or several of the same kind (it lists them).
std::filesystem::path find_checkpoint_in_folder(const std::filesystem::path& folder);

}  // namespace flashblock
