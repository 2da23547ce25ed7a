#include "weights/torch_archive.h"

#include <cstdint>
#include <string>
#include <utility>

#include "core/error.h"
#include "weights/mapped_tensor.h"
#include "weights/unpickler.h"
#include "weights/zip_archive.h"

namespace flashblock {
namespace {

using Graph = PickleGraph;
using Records = std::map<std::string, std::span<const std::byte>>;

constexpr int kMaxDepth = 8;         // of dictionaries in dictionaries
constexpr int kMaxVisits = 100'000;  // shared dictionaries could be visited exponentially many times

// Collects the dictionaries that hold tensors.
class SetCollector {
 public:
  SetCollector(const std::string& file, const Graph& graph) : file_(file), graph_(graph) {}

  std::vector<TensorSet> collect() {
    const auto* root = std::get_if<Graph::Dict>(&graph_[graph_.root]);
    if (!root)
      throw WeightsError(file_ +
                         ": contains no dictionary of tensors (perhaps a whole Python object was saved); save its "
                         "state_dict(), or use the safetensors release");
    return visit(*root, "", 0);
  }

 private:
  // The sets in `dict`: itself if it has more tensors than all dictionaries in it, else those. So the few counters that
  // a checkpoint saves as tensors beside its models do not become a set.
  std::vector<TensorSet> visit(const Graph::Dict& dict, const std::string& path, int depth) {
    if (depth > kMaxDepth || ++visits_ > kMaxVisits)
      throw WeightsError(file_ + ": its dictionaries are nested too deeply; use another release of these weights");
    TensorSet own{path, {}, {}};
    std::vector<TensorSet> nested;
    size_t nested_tensors = 0;
    for (const auto& [key_ref, value_ref] : dict.items) {
      const auto* key = std::get_if<std::string>(&graph_[key_ref]);
      if (!key) continue;
      if (const auto* tensor = std::get_if<at::Tensor>(&graph_[value_ref])) {
        if (!own.tensors.emplace(*key, *tensor).second)
          throw WeightsError(file_ + ": has the tensor '" + *key + "' twice; the file is damaged: download it again");
      } else if (const auto* unread = std::get_if<Graph::UnreadTensor>(&graph_[value_ref])) {
        own.unread.emplace(*key, unread->maker);
      } else if (const auto* inner = std::get_if<Graph::Dict>(&graph_[value_ref])) {
        for (TensorSet& set : visit(*inner, path.empty() ? *key : path + "." + *key, depth + 1)) {
          nested_tensors += set.tensors.size() + set.unread.size();
          nested.push_back(std::move(set));
        }
      }
    }
    const size_t own_tensors = own.tensors.size() + own.unread.size();
    if (own_tensors == 0 || own_tensors <= nested_tensors) return nested;
    std::vector<TensorSet> result;
    result.push_back(std::move(own));
    return result;
  }

  const std::string& file_;
  const Graph& graph_;
  int visits_ = 0;
};

// The folder of all records, with its slash: that of the record `data.pkl`.
std::string find_root(const std::string& file, const Records& records) {
  for (const auto& [name, bytes] : records) {
    const size_t slash = name.find('/');
    if (slash != std::string::npos && name.substr(slash + 1) == "data.pkl") return name.substr(0, slash + 1);
  }
  throw WeightsError(file +
                     ": is a zip archive without `data.pkl`, so not from torch.save; extract it and use the "
                     "weights inside");
}

void check_byte_order(const std::string& file, const Records& records, const std::string& root) {
  const auto found = records.find(root + "byteorder");
  if (found == records.end()) return;
  const std::string order(reinterpret_cast<const char*>(found->second.data()), found->second.size());
  if (order != "little")
    throw WeightsError(file + ": was saved on a big-endian machine; load and save it again on a little-endian one");
}

}  // namespace

std::vector<TensorSet> read_torch_archive(const std::shared_ptr<const MappedFile>& file) {
  const std::string name = file->path().string();
  const Records records = read_zip_directory(*file);
  const std::string root = find_root(name, records);
  check_byte_order(name, records, root);
  const auto load_storage = [&](const std::string& key, at::ScalarType dtype, int64_t numel) {
    const auto record = records.find(root + "data/" + key);
    if (record == records.end())
      throw WeightsError(name + ": its storage '" + key + "' is missing; the file is damaged: download it again");
    const auto capacity = static_cast<int64_t>(record->second.size() / c10::elementSize(dtype));
    if (numel < 0 || numel > capacity)
      throw WeightsError(name + ": its storage '" + key + "' has " + std::to_string(capacity) +
                         " elements instead of " + std::to_string(numel) + "; the file is damaged: download it again");
    return mapped_tensor(file, record->second.data(), {numel}, dtype);
  };
  return SetCollector(name, read_pickle(name, records.at(root + "data.pkl"), load_storage)).collect();
}

}  // namespace flashblock
