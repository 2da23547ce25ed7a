#include "weights/checkpoint_files.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"
#include "core/plain_text.h"
#include "weights/gguf_reader.h"
#include "weights/model_component.h"
#include "weights/safetensors_reader.h"
#include "weights/scaled_float8.h"
#include "weights/torch_archive.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

bool ends_with(const fs::path& path, std::string_view ending) {
  const std::string name = path.filename().string();
  return name.size() >= ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0;
}

// Throws for known formats that are not supported, with their name.
void refuse_unsupported_formats(const fs::path& path, std::string_view start) {
  const auto begins = [&](std::string_view magic) { return start.substr(0, magic.size()) == magic; };
  if (begins("version https://git-lfs"))
    throw WeightsError(path.string() + ": is a Git LFS pointer, not weights; run `git lfs pull` in its folder");
  // A safetensors file begins with the length of its header, which may look like a pickle; then comes the header.
  const bool safetensors = start.size() > sizeof(uint64_t) && start[sizeof(uint64_t)] == '{';
  const bool pickle = begins("\x80\x02") || begins("\x80\x03") || begins("\x80\x04") || begins("\x80\x05");
  if (pickle && !safetensors)
    throw WeightsError(path.string() +
                       ": is in the legacy format of torch.save (before PyTorch 1.6), which is not supported; load it "
                       "in Python and save it again, or convert it to safetensors");
  if (begins("<!DOCTYPE") || begins("<html"))
    throw WeightsError(path.string() + ": is a web page, not weights: the download failed; download it again");
}

CheckpointContents read_file(const fs::path& path) {
  const auto file = MappedFile::open(path);
  const auto bytes = file->bytes();
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 32));
  CheckpointContents contents;
  contents.files = {path};
  if (start.substr(0, 4) == "PK\x03\x04") {
    contents.sets = read_torch_archive(file);
    return contents;
  }
  refuse_unsupported_formats(path, start);
  ContainerContents read = start.substr(0, 4) == "GGUF" ? read_gguf(file) : read_safetensors(file);
  contents.metadata = std::move(read.metadata);
  if (!read.tensors.empty()) contents.sets.push_back({"", std::move(read.tensors), {}});
  return contents;
}

// The map from tensor to shard of an `*.index.json`.
std::map<std::string, std::string> read_index(const fs::path& path) {
  std::ifstream stream(path);
  if (!stream) throw WeightsError(path.string() + ": cannot be opened");
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  const auto index = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (const std::string fault = file_text_fault(text); !fault.empty()) throw WeightsError(path.string() + " " + fault);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty() ||
      !std::all_of(map->begin(), map->end(), [](const auto& file) { return file.is_string(); }))
    throw WeightsError(path.string() + ": is not an index of weight files: it has no `weight_map` of tensors to files");
  return map->get<std::map<std::string, std::string>>();
}

CheckpointContents read_sharded(const fs::path& path) {
  const auto index = read_index(path);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : index) shards.insert(shard);
  CheckpointContents contents;
  TensorSet all;
  for (const std::string& shard : shards) {
    if (fs::path(shard).filename() != shard || shard == "..")
      throw WeightsError(path.string() + ": refers to the file '" + shard + "', which is not in its folder");
    CheckpointContents part = read_file(path.parent_path() / shard);
    contents.files.push_back(std::move(part.files.front()));
    for (TensorSet& set : part.sets) {
      for (auto& [name, tensor] : set.tensors)
        if (!all.tensors.emplace(name, std::move(tensor)).second)
          throw WeightsError(path.string() + ": the tensor '" + name + "' is in two files, the second one is " + shard);
      all.unread.merge(set.unread);
    }
  }
  for (const auto& [tensor, shard] : index)
    if (!all.tensors.count(tensor) && !all.unread.count(tensor))
      throw WeightsError(path.string() + ": the tensor '" + tensor + "' is not in " + shard +
                         " as the index says; download the files again");
  contents.sets.push_back(std::move(all));
  return contents;
}

// What trainers and converters write beside weights. Source: transformers `trainer.py`, accelerate `checkpointing.py`,
// optimum-intel.
bool is_no_weights(const std::string& name) {
  constexpr std::string_view kNames[] = {"training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.bin",
                                         "scheduler.pt",      "scaler.pt",     "scaler.bin",   "openvino_model.bin"};
  return name.starts_with("rng_state") || std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// Forms in which a folder may hold the same weights; the first that it has is read.
enum Form { kSafetensorsIndex, kSafetensors, kOtherIndex, kTorch, kGguf, kForms };

Form form_of(const fs::path& path) {
  if (ends_with(path, ".bin.index.json") || ends_with(path, ".pt.index.json")) return kOtherIndex;
  if (ends_with(path, ".index.json")) return kSafetensorsIndex;
  if (ends_with(path, ".safetensors")) return kSafetensors;
  if (ends_with(path, ".pt") || ends_with(path, ".pth") || ends_with(path, ".bin"))
    return is_no_weights(path.filename().string()) ? kForms : kTorch;
  return ends_with(path, ".gguf") ? kGguf : kForms;
}

// Whether `file` is another variant of a file in `files`: its name has one part more, as in model.fp16.safetensors.
bool is_variant(const fs::path& file, const std::vector<fs::path>& files) {
  const std::string name = file.filename().string();
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    const size_t end = name.find('.', dot + 1);
    if (end == std::string::npos) return false;
    const fs::path plain = file.parent_path() / (name.substr(0, dot) + name.substr(end));
    if (std::find(files.begin(), files.end(), plain) != files.end()) return true;
  }
  return false;
}

}  // namespace

bool is_weights_file(const fs::path& path) { return form_of(path) != kForms; }

fs::path find_checkpoint_in_folder(const fs::path& folder) {
  std::vector<fs::path> forms[kForms];
  for (const auto& item : fs::directory_iterator(folder))
    if (const Form form = form_of(item.path()); form != kForms) forms[form].push_back(item.path());
  for (auto& all : forms) {
    std::vector<fs::path> paths;
    std::copy_if(all.begin(), all.end(), std::back_inserter(paths),
                 [&](const fs::path& path) { return !is_variant(path, all); });
    if (paths.size() == 1) return paths.front();
    if (paths.empty()) continue;
    std::sort(paths.begin(), paths.end());
    std::string list;
    for (const fs::path& path : paths) list += (list.empty() ? "" : ", ") + path.filename().string();
    throw WeightsError(folder.string() + ": contains several weight files (" + list + "); specify one of them");
  }
  throw WeightsError(folder.string() +
                     ": contains no weights (*.safetensors, *.index.json, *.pt, *.pth, *.bin, *.gguf)");
}

CheckpointContents read_checkpoint(const fs::path& path) {
  std::error_code status;
  if (!fs::exists(path, status)) throw WeightsError(path.string() + ": no such file or folder");
  const fs::path file = fs::is_directory(path, status) ? find_checkpoint_in_folder(path) : path;
  CheckpointContents contents = ends_with(file, ".index.json") ? read_sharded(file) : read_file(file);
  for (TensorSet& set : contents.sets) unpack_scaled_float8(path, set.tensors, contents.metadata);
  contents.sets = split_models(path, std::move(contents.sets));
  return contents;
}

}  // namespace flashblock
