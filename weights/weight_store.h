// Named tensors of one model, read from any supported container.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weights/name_layout.h"
#include "weights/stored_tensor.h"

namespace flashblock {

enum class ModelComponent;

/// One set of weights inside a checkpoint that holds several, such as Self-Forcing's `generator` and `generator_ema`.
struct WeightEntry {
  std::string name;  ///< for WeightStore::open; empty if the file is one flat set
  int64_t tensors = 0;
  int64_t parameters = 0;
};

/// The tensors of one model by name. Opening maps the files and reads their headers; tensor data is read from disk when
/// first accessed. Names are those of Wan's releases: prefixes of training wrappers are stripped
/// (strip_wrapper_prefixes), names of diffusers and transformers are translated (name_layout.h).
/// Containers: `.safetensors`; a sharded `*.index.json` with its files; `.pt`, `.pth`, `.bin` zip archives of
/// torch.save with nested dictionaries; GGUF; a folder with one of these. Detected by content, not by file extension.
/// Thread safety: immutable.
class WeightStore {
 public:
  /// `entry` selects one set of weights where the file has several; empty requires that there is only one, or only one
  /// of `component`. Throws: WeightsError if the path is missing, damaged, quantised or of an unknown format, if the
  /// entry does not exist, if there are several and `entry` is empty (the message lists them), or if the set has
  /// tensors of kinds that are not read.
  static std::shared_ptr<const WeightStore> open(const std::filesystem::path& path, const std::string& entry = "",
                                                 std::optional<ModelComponent> component = {});

  /// The sets of weights in `path`, in the file's order. Throws: WeightsError as `open`.
  static std::vector<WeightEntry> entries(const std::filesystem::path& path);

  /// A store of tensors that are already in memory; `path` is its name in error messages.
  static std::shared_ptr<const WeightStore> from_tensors(std::map<std::string, at::Tensor> tensors,
                                                         const std::filesystem::path& path = "memory",
                                                         std::map<std::string, std::string> metadata = {});

  /// The same of tensors as they lie in a file, perhaps packed.
  static std::shared_ptr<const WeightStore> from_stored(const std::map<std::string, StoredTensor>& tensors,
                                                        const std::filesystem::path& path,
                                                        std::map<std::string, std::string> metadata);

  /// Maps a tensor of the file to its replacement of the same shape, on the CPU.
  using Change = std::function<at::Tensor(const at::Tensor&)>;

  /// The same weights with some tensors changed, lazily: each time they are read. Earlier changes come first.
  /// Throws: WeightsError for an unknown name.
  std::shared_ptr<const WeightStore> with_changes(const std::map<std::string, Change>& changes) const;

  /// The new name of a tensor; empty: it is left out.
  using Rename = std::function<std::string(const std::string& name)>;
  /// The same weights under other names. Requires: names that differ stay different.
  std::shared_ptr<const WeightStore> with_names(const Rename& rename) const;

  /// All names in alphabetical order.
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }

  /// The tensor in the file's dtype, on the CPU: a view into the mapped file that keeps the mapping alive; do not write
  /// to it. Tensors that are packed, or changed by with_changes, are computed at every call. Throws: WeightsError for
  /// an unknown name.
  at::Tensor tensor(const std::string& name) const;
  /// Some rows of it along the first axis, without unpacking the others where the file allows it.
  /// Shape: indices [n] int64; result [n, ...]. Throws: WeightsError for an unknown name.
  at::Tensor rows(const std::string& name, const at::Tensor& indices) const;
  /// Number of values. Throws: WeightsError for an unknown name.
  int64_t numel(const std::string& name) const { return stored(name).numel(); }
  /// Throws: WeightsError for an unknown name.
  std::vector<int64_t> shape(const std::string& name) const { return stored(name).shape; }
  /// Throws: WeightsError for an unknown name.
  at::ScalarType dtype(const std::string& name) const { return stored(name).dtype; }

  /// Metadata strings of the container (safetensors' `__metadata__`); empty for others.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// The file or folder that was opened.
  const std::filesystem::path& path() const { return path_; }
  /// The selected set of weights; empty if the file is one flat set.
  const std::string& entry() const { return entry_; }
  /// Tensors of the file that are known to be no weights and were passed over (extra_tensors.h).
  const std::vector<std::string>& extras() const { return extras_; }
  /// Naming convention of the file.
  NameLayout layout() const { return layout_; }
  /// The files of the tensors: one, or all shards.
  const std::vector<std::filesystem::path>& files() const { return files_; }

 private:
  WeightStore() = default;
  WeightStore(const WeightStore&) = default;
  void take(const std::map<std::string, StoredTensor>& tensors);
  const StoredTensor& stored(const std::string& name) const;

  std::filesystem::path path_;
  std::string entry_;
  std::vector<std::filesystem::path> files_;
  std::map<std::string, StoredTensor> tensors_;
  std::map<std::string, Change> changes_;
  std::vector<std::string> extras_;
  NameLayout layout_ = NameLayout::kPublished;
  std::map<std::string, std::string> metadata_;
};

/// `name` without the prefixes that training wrappers add to state-dict keys: `_fsdp_wrapped_module.`,
/// `_checkpoint_wrapped_module.` and `_orig_mod.` anywhere; then, in front and repeatedly, `base_model.`, `model.`,
/// `diffusion_model.`, `transformer.`, `module.`. Source: wrappers of Self-Forcing, LongLive, Krea, ComfyUI repacks,
/// diffusers and PEFT adapters.
std::string strip_wrapper_prefixes(std::string name);

}  // namespace flashblock
