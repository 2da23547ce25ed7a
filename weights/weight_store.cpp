#include "weights/weight_store.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "weights/checkpoint_files.h"
#include "weights/extra_tensors.h"
#include "weights/model_component.h"
#include "weights/name_layout.h"
#include "weights/quantized_names.h"
#include "weights/tensor_table.h"

namespace flashblock {
namespace {

std::string list_of(const std::vector<TensorSet>& sets) {
  std::string text;
  for (const TensorSet& set : sets) text += (text.empty() ? "" : ", ") + set.name;
  return text;
}

/// The sets whose weights are those of `component`; throws if there are none.
std::vector<TensorSet> sets_of(const std::filesystem::path& path, std::vector<TensorSet> sets,
                               ModelComponent component) {
  std::vector<TensorSet> fitting;
  std::copy_if(sets.begin(), sets.end(), std::back_inserter(fitting),
               [&](const TensorSet& set) { return component_of(set) == component; });
  if (fitting.empty())
    throw WeightsError(path.string() + ": holds several sets of weights (" + list_of(sets) + "), none of which is a " +
                       name_of(component) + "; name the file that holds one");
  return fitting;
}

TensorSet select_entry(const std::filesystem::path& path, std::vector<TensorSet> sets, const std::string& entry,
                       std::optional<ModelComponent> component) {
  if (sets.empty()) throw WeightsError(path.string() + ": holds no tensors; it is not a file of model weights");
  if (entry.empty()) {
    if (component && sets.size() > 1) sets = sets_of(path, std::move(sets), *component);
    if (sets.size() == 1) return std::move(sets.front());
    throw WeightsError(path.string() + ": holds several sets of weights (" + list_of(sets) +
                       "); select one with `weights:` beside the file's name");
  }
  for (TensorSet& set : sets)
    if (set.name == entry) return std::move(set);
  if (sets.size() == 1 && sets.front().name.empty())
    throw WeightsError(path.string() + ": has no entry '" + entry +
                       "': the file is one unnamed set of weights; leave out `weights:`");
  throw WeightsError(path.string() + ": has no entry '" + entry + "'; the file has " + list_of(sets));
}

void refuse_unread(const std::filesystem::path& path, const TensorSet& set) {
  if (set.unread.empty()) return;
  std::vector<std::string> list;
  for (const auto& [name, maker] : set.unread) list.push_back("'" + name + "' (" + maker + ")");
  throw WeightsError(path.string() + ": tensors of kinds that are not supported: " + join_faults(list) +
                     "; save them as plain tensors, or take a release in safetensors");
}

void refuse_quantized(const WeightStore& store) {
  const std::string scale = quantization_tensor(store.names());
  if (!scale.empty())
    throw WeightsError(store.path().string() + ": is a quantised checkpoint (it has '" + scale +
                       "'), which is not supported; use a release in bfloat16, float32 or scaled float8, or in GGUF");
}

bool strip_front(std::string& name, const std::string& prefix) {
  if (name.compare(0, prefix.size(), prefix) != 0) return false;
  name.erase(0, prefix.size());
  return true;
}

}  // namespace

// Removes wrapper prefixes and translates all names to Wan's. Throws if two names become equal.
void WeightStore::take(const std::map<std::string, StoredTensor>& tensors) {
  std::map<std::string, StoredTensor> unwrapped;
  for (const auto& [name, tensor] : tensors) {
    const auto [place, inserted] = unwrapped.emplace(strip_wrapper_prefixes(name), tensor);
    if (!inserted)
      throw WeightsError(path_.string() + ": the tensor '" + place->first +
                         "' occurs twice under different wrapper prefixes, the second time as '" + name +
                         "'; use a checkpoint with one set of weights");
  }
  layout_ = find_layout([&](const std::string& name) { return unwrapped.count(name) != 0; });
  // transformers may save the embedding that UMT5's encoder and decoder share under both of its names.
  if (layout_ == NameLayout::kTextEncoder && unwrapped.count("shared.weight"))
    unwrapped.erase("encoder.embed_tokens.weight");
  for (const auto& [name, tensor] : unwrapped) {
    if (is_extra_tensor(layout_, name)) {
      extras_.push_back(name);
      continue;
    }
    const auto [place, inserted] = tensors_.emplace(published_name(layout_, name), tensor);
    if (!inserted)
      throw WeightsError(path_.string() + ": the tensor '" + place->first + "' occurs twice, the second time as '" +
                         name + "'; use a checkpoint with one set of weights");
  }
}

std::shared_ptr<const WeightStore> WeightStore::open(const std::filesystem::path& path, const std::string& entry,
                                                     std::optional<ModelComponent> component) {
  CheckpointContents contents = read_checkpoint(path);
  TensorSet set = select_entry(path, std::move(contents.sets), entry, component);
  refuse_unread(path, set);
  std::shared_ptr<WeightStore> store(new WeightStore);
  store->path_ = path;
  store->entry_ = std::move(set.name);
  store->files_ = std::move(contents.files);
  store->take(set.tensors);
  store->metadata_ = std::move(contents.metadata);
  refuse_quantized(*store);
  return store;
}

std::vector<WeightEntry> WeightStore::entries(const std::filesystem::path& path) {
  std::vector<WeightEntry> entries;
  for (const TensorSet& set : read_checkpoint(path).sets) {
    WeightEntry entry{set.name, static_cast<int64_t>(set.tensors.size()), 0};
    for (const auto& [name, tensor] : set.tensors) entry.parameters += tensor.numel();
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::shared_ptr<const WeightStore> WeightStore::from_tensors(std::map<std::string, at::Tensor> tensors,
                                                             const std::filesystem::path& path,
                                                             std::map<std::string, std::string> metadata) {
  return from_stored({std::make_move_iterator(tensors.begin()), std::make_move_iterator(tensors.end())}, path,
                     std::move(metadata));
}

std::shared_ptr<const WeightStore> WeightStore::from_stored(const std::map<std::string, StoredTensor>& tensors,
                                                            const std::filesystem::path& path,
                                                            std::map<std::string, std::string> metadata) {
  std::shared_ptr<WeightStore> store(new WeightStore);
  store->path_ = path;
  store->take(tensors);
  store->metadata_ = std::move(metadata);
  return store;
}

std::vector<std::string> WeightStore::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

std::shared_ptr<const WeightStore> WeightStore::with_changes(const std::map<std::string, Change>& changes) const {
  std::shared_ptr<WeightStore> store(new WeightStore(*this));
  for (const auto& [name, change] : changes) {
    stored(name);
    Change& own = store->changes_[name];
    own =
        own ? Change([before = own, then = change](const at::Tensor& values) { return then(before(values)); }) : change;
  }
  return store;
}

std::shared_ptr<const WeightStore> WeightStore::with_names(const Rename& rename) const {
  std::shared_ptr<WeightStore> store(new WeightStore(*this));
  store->tensors_.clear();
  store->changes_.clear();
  for (const auto& [name, tensor] : tensors_) {
    const std::string renamed = rename(name);
    if (renamed.empty()) continue;
    store->tensors_.emplace(renamed, tensor);
    if (const auto change = changes_.find(name); change != changes_.end()) store->changes_[renamed] = change->second;
  }
  return store;
}

const StoredTensor& WeightStore::stored(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw WeightsError(path_.string() + ": has no tensor '" + name + "'");
  return found->second;
}

at::Tensor WeightStore::tensor(const std::string& name) const {
  const auto change = changes_.find(name);
  const at::Tensor values = stored(name).values();
  return change == changes_.end() ? values : change->second(values);
}

at::Tensor WeightStore::rows(const std::string& name, const at::Tensor& indices) const {
  return changes_.count(name) ? tensor(name).index_select(0, indices) : stored(name).rows(indices);
}

std::string strip_wrapper_prefixes(std::string name) {
  for (const std::string token : {"_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod."})
    for (size_t at; (at = name.find(token)) != std::string::npos;) name.erase(at, token.size());
  while (strip_front(name, "base_model.") || strip_front(name, "model.") || strip_front(name, "diffusion_model.") ||
         strip_front(name, "transformer.") || strip_front(name, "module.")) {
  }
  return name;
}

}  // namespace flashblock
