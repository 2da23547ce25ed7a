// Named tensors of one model, read from whatever container they were published in.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "weights/name_layout.h"

namespace flashblock {

/// One set of weights inside a checkpoint that holds several, such as Self-Forcing's `generator` and `generator_ema`.
struct WeightEntry {
  std::string name;  ///< what WeightStore::open takes; empty if the file is one flat set
  int64_t tensors = 0;
  int64_t parameters = 0;
};

/// The tensors of one model by name. Opening maps the files and reads their headers; tensor data is read from disk when
/// first touched. Names come out as in Wan's own releases: wrappers that training put around the model are stripped
/// (strip_wrapper_prefixes), names that diffusers and transformers give are translated (name_layout.h).
/// Containers: `.safetensors`; a sharded `*.index.json` with its files; `.pt`, `.pth`, `.bin` zip archives of
/// torch.save with nested dictionaries; a folder that holds one of these. The content decides, not the file's ending.
/// Thread safety: immutable.
class WeightStore {
 public:
  /// `entry` picks one set of weights where the file holds several; empty means that there must be only one.
  /// Throws: WeightsError if the path is missing, damaged, quantised or of an unknown kind, if the entry does not
  /// exist, or if there are several and none is named (the message lists them).
  static std::shared_ptr<const WeightStore> open(const std::filesystem::path& path, const std::string& entry = "");

  /// The sets of weights that `path` holds, in the file's order. Throws: WeightsError as `open`.
  static std::vector<WeightEntry> entries(const std::filesystem::path& path);

  /// A store over tensors that are already in memory; `path` is what error messages call it.
  static std::shared_ptr<const WeightStore> from_tensors(std::map<std::string, at::Tensor> tensors,
                                                         const std::filesystem::path& path = "memory",
                                                         std::map<std::string, std::string> metadata = {});

  /// What a tensor of the file becomes: same shape, on the CPU.
  using Change = std::function<at::Tensor(const at::Tensor&)>;

  /// The same weights, with some tensors changed whenever they are read. Nothing is computed before.
  /// Throws: WeightsError for a name that is not there.
  std::shared_ptr<const WeightStore> with_changes(std::map<std::string, Change> changes) const;

  /// All names in alphabetical order.
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }

  /// The tensor in the file's dtype, on the CPU: a read-only view into the mapped file that keeps the mapping alive; do
  /// not write to it. One that with_changes named is computed anew at every call. Throws: WeightsError if there is none
  /// of that name.
  at::Tensor tensor(const std::string& name) const;
  /// Throws: WeightsError if there is none of that name.
  std::vector<int64_t> shape(const std::string& name) const { return stored(name).sizes().vec(); }
  /// Throws: WeightsError if there is none of that name.
  at::ScalarType dtype(const std::string& name) const { return stored(name).scalar_type(); }

  /// Texts that the container carries beside the tensors (safetensors' `__metadata__`); empty for others.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// The file or folder that was opened.
  const std::filesystem::path& path() const { return path_; }
  /// The set of weights that was picked; empty if the file is one flat set.
  const std::string& entry() const { return entry_; }
  /// Who named the tensors in the file.
  NameLayout layout() const { return layout_; }
  /// The files the tensors come from: one, or all shards.
  const std::vector<std::filesystem::path>& files() const { return files_; }

 private:
  WeightStore() = default;
  WeightStore(const WeightStore&) = default;
  const at::Tensor& stored(const std::string& name) const;

  std::filesystem::path path_;
  std::string entry_;
  std::vector<std::filesystem::path> files_;
  std::map<std::string, at::Tensor> tensors_;
  std::map<std::string, Change> changes_;
  NameLayout layout_ = NameLayout::kPublished;
  std::map<std::string, std::string> metadata_;
};

/// `name` without what training wrappers add to state-dict keys: `_fsdp_wrapped_module.`, `_checkpoint_wrapped_module.`
/// and `_orig_mod.` anywhere; then, in front and repeatedly, `base_model.`, `model.`, `diffusion_model.`,
/// `transformer.`, `module.`. Source: wrappers of Self-Forcing, LongLive, Krea, ComfyUI repacks, diffusers and PEFT
/// adapters.
std::string strip_wrapper_prefixes(std::string name);

}  // namespace flashblock
