// Files as torch.save writes them, for tests: a zip archive with a pickle and one record per storage.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

namespace flashblock::testing {

struct SavedItem;

/// A Python dictionary, or collections.OrderedDict.
struct SavedDict {
  enum class Type { kDict, kOrderedDict };
  std::vector<SavedItem> items;
  Type type = Type::kDict;
};

struct SavedItem {
  std::string key;
  std::variant<at::Tensor, SavedDict, int64_t, std::string> value;
};

/// An ordered dictionary of all tensors, as `state_dict()` returns it; every name gets `prefix`.
SavedDict state_dict(const std::vector<std::pair<std::string, at::Tensor>>& tensors, const std::string& prefix = "");

/// Writes `root` so that `torch.load(path, weights_only=True)` returns it. CPU tensors; views keep their strides and
/// share their storage.
void write_torch_file(const std::filesystem::path& path, const SavedDict& root);

/// One entry of a zip file; the fields after `bytes` are for files that must be rejected.
struct ZipEntry {
  std::string name;
  std::string bytes;
  uint16_t method = 0;
  uint16_t flags = 0;
};

/// A zip file of stored entries, each at a multiple of 64 bytes.
std::string zip_bytes(const std::vector<ZipEntry>& entries);

/// Writes bytes unchanged.
void write_bytes(const std::filesystem::path& path, const std::string& bytes);
std::string read_bytes(const std::filesystem::path& path);

}  // namespace flashblock::testing
