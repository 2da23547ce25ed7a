#include "models/checkpoint_info.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <set>

#include "core/device.h"
#include "core/error.h"
#include "models/known_checkpoints.h"
#include "models/lora.h"
#include "models/model_config.h"
#include "weights/checkpoint_files.h"
#include "weights/quantized_names.h"
#include "weights/vae_layout.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxFolderDepth = 3;
constexpr size_t kMaxLayerDigits = 3;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

bool any_name_contains(const std::vector<std::string>& names, const std::string& part) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return contains(name, part); });
}

CheckpointKind kind_of(const WeightStore& weights) {
  const auto names = weights.names();
  if (is_lora(weights)) return CheckpointKind::kLora;
  if (weights.contains("patch_embedding.weight") && weights.contains("blocks.0.self_attn.q.weight"))
    return any_name_contains(names, "k_img") || any_name_contains(names, "img_emb.")
               ? CheckpointKind::kWanImageTransformer
               : CheckpointKind::kWanTransformer;
  if (weights.contains("token_embedding.weight") && weights.contains("blocks.0.attn.q.weight"))
    return CheckpointKind::kTextEncoder;
  if (weights.contains("decoder.middle.0.residual.0.gamma")) return CheckpointKind::kWanVae;
  if (weights.contains("decoder.1.weight") && weights.contains("decoder.3.conv.0.weight"))
    return CheckpointKind::kTinyVae;
  if (weights.contains("decoder.0.weight") && weights.contains("decoder.1.conv.0.weight"))
    return CheckpointKind::kTinyVae;
  return CheckpointKind::kUnknown;
}

// The layers that have a tensor, by its name within the layer: `blocks.7.norm3.bias` is {"norm3.bias", 7}.
std::map<std::string, std::set<int64_t>> layers_by_tensor(const WeightStore& weights) {
  std::map<std::string, std::set<int64_t>> layers;
  for (const std::string& name : weights.names()) {
    const std::string front = "blocks.";
    const size_t dot = name.find('.', front.size());
    if (name.compare(0, front.size(), front) != 0 || dot == std::string::npos) continue;
    const std::string digits = name.substr(front.size(), dot - front.size());
    if (digits.empty() || digits.size() > kMaxLayerDigits ||
        !std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c); }))
      continue;
    layers[name.substr(dot + 1)].insert(std::stoll(digits));
  }
  return layers;
}

int64_t layer_count(const std::map<std::string, std::set<int64_t>>& layers) {
  int64_t count = 0;
  for (const auto& [name, present] : layers) count = std::max(count, *present.rbegin() + 1);
  return count;
}

// Required tensors outside the layers.
std::vector<std::string> required_tensors(CheckpointKind kind) {
  switch (kind) {
    case CheckpointKind::kWanTransformer:
      return {"patch_embedding.bias",     "text_embedding.0.weight", "text_embedding.0.bias",
              "text_embedding.2.weight",  "text_embedding.2.bias",   "time_embedding.0.weight",
              "time_embedding.0.bias",    "time_embedding.2.weight", "time_embedding.2.bias",
              "time_projection.1.weight", "time_projection.1.bias",  "head.modulation",
              "head.head.weight",         "head.head.bias"};
    case CheckpointKind::kTextEncoder:
      return {"norm.weight"};
    case CheckpointKind::kWanVae:
      return {"conv2.weight", "conv2.bias", "decoder.conv1.weight", "decoder.head.0.gamma", "decoder.head.2.weight"};
    case CheckpointKind::kTinyVae:
      return {"decoder.22.weight"};
    default:
      return {};
  }
}

// Missing tensors: required ones, and those that one layer has and another lacks.
std::vector<std::string> missing_tensors(const WeightStore& weights, CheckpointKind kind) {
  std::vector<std::string> missing;
  for (const std::string& name : required_tensors(kind))
    if (!weights.contains(name)) missing.push_back(name);
  if (kind != CheckpointKind::kWanTransformer && kind != CheckpointKind::kTextEncoder) return missing;
  const auto layers = layers_by_tensor(weights);
  const int64_t count = layer_count(layers);
  for (int64_t layer = 0; layer < count; ++layer)
    for (const auto& [name, present] : layers)
      if (!present.count(layer)) missing.push_back("blocks." + std::to_string(layer) + "." + name);
  return missing;
}

using Geometry = std::vector<std::pair<std::string, int64_t>>;

// Size `axis` of a tensor, or 0 if there is no such tensor or axis.
int64_t size_of(const WeightStore& weights, const std::string& name, size_t axis) {
  if (!weights.contains(name)) return 0;
  const auto shape = weights.shape(name);
  return axis < shape.size() ? shape[axis] : 0;
}

Geometry transformer_geometry(const WeightStore& weights, const fs::path& config_file) {
  try {
    const TransformerConfig config = read_transformer_config(weights, config_file);
    return {{"dim", config.dim},
            {"heads", config.heads},
            {"layers", config.layers},
            {"ffn_dim", config.ffn_dim},
            {"text_dim", config.text_dim},
            {"in_channels", config.in_channels},
            {"out_channels", config.out_channels}};
  } catch (const Error&) {  // an incomplete or unknown transformer; its missing tensors are listed
    return {{"dim", size_of(weights, "patch_embedding.weight", 0)},
            {"in_channels", size_of(weights, "patch_embedding.weight", 1)},
            {"layers", layer_count(layers_by_tensor(weights))}};
  }
}

// `width` and `encoder` are those of its network.
Geometry vae_geometry(const WeightStore& weights, int64_t width, bool encoder) {
  Geometry geometry = {{"width", width}};
  try {
    const VaeLayout layout = read_vae_layout(weights);
    geometry.emplace_back("latent_channels", layout.latent_channels);
    geometry.emplace_back("pixel_stride", layout.pixel_stride());
    geometry.emplace_back("upscale", layout.upscale);
  } catch (const Error&) {  // an incomplete or unknown VAE; its missing tensors are listed
  }
  geometry.emplace_back("encoder", encoder ? 1 : 0);
  return geometry;
}

Geometry geometry_of(const WeightStore& weights, CheckpointKind kind, const fs::path& config_file) {
  switch (kind) {
    case CheckpointKind::kWanTransformer:
    case CheckpointKind::kWanImageTransformer:
      return transformer_geometry(weights, config_file);
    case CheckpointKind::kTextEncoder:
      return {{"vocabulary", size_of(weights, "token_embedding.weight", 0)},
              {"dim", size_of(weights, "token_embedding.weight", 1)},
              {"heads", size_of(weights, "blocks.0.pos_embedding.embedding.weight", 1)},
              {"layers", layer_count(layers_by_tensor(weights))},
              {"ffn_dim", size_of(weights, "blocks.0.ffn.fc1.weight", 0)}};
    case CheckpointKind::kWanVae:
      return vae_geometry(weights, size_of(weights, "decoder.head.0.gamma", 0),
                          weights.contains("encoder.conv1.weight"));
    case CheckpointKind::kTinyVae:
      return vae_geometry(weights, size_of(weights, "decoder.22.weight", 1), weights.contains("encoder.0.weight"));
    case CheckpointKind::kLora:
    case CheckpointKind::kUnknown:
      return {};
  }
  return {};
}

int64_t value_of(const Geometry& geometry, const std::string& wanted) {
  for (const auto& [name, value] : geometry)
    if (name == wanted) return value;
  return 0;
}

/// Window that published models were trained with, in latent frames. Source: Self-Forcing
/// `configs/default_config.yaml`.
constexpr int64_t kTrainedFrames = 21;
constexpr int64_t kBytesOfBfloat16 = 2;

TransformerMemory transformer_memory(const WeightSetInfo& set, VideoGeometry geometry) {
  geometry.strides = published_strides(value_of(set.geometry, "in_channels"));
  geometry.validate();
  const int64_t keys_and_values = 2 * value_of(set.geometry, "layers") * value_of(set.geometry, "dim");
  return {.geometry = geometry,
          .window_frames = kTrainedFrames,
          .weights_bytes = set.parameters * kBytesOfBfloat16,
          .cache_bytes = keys_and_values * kTrainedFrames * geometry.tokens_per_frame() * kBytesOfBfloat16};
}

/// What an adapter is; one that cannot be used says why.
void describe_adapter(const WeightStore& weights, WeightSetInfo& info) {
  try {
    info.lora = describe_lora(weights);
    const auto rank = static_cast<int64_t>(info.lora->rank.largest);
    info.geometry = {{"rank", rank}, {"targets", info.lora->products + info.lora->differences}};
  } catch (const Error& error) {
    info.problem = error.what();
  }
}

std::string unread_text(const TensorSet& set) {
  std::string text;
  for (const auto& [name, maker] : set.unread) text += (text.empty() ? "" : ", ") + name + " (" + maker + ")";
  return text.empty() ? text : "tensors of kinds that are not supported: " + text;
}

WeightSetInfo describe_set(const TensorSet& set, const CheckpointContents& contents, const fs::path& path,
                           const InspectOptions& options) {
  const auto weights = WeightStore::from_stored(set.tensors, path, contents.metadata);
  WeightSetInfo info{set.name, kind_of(*weights)};
  std::set<std::string> dtypes;
  for (const auto& [name, tensor] : set.tensors) {
    ++info.tensors;
    info.parameters += tensor.numel();
    dtypes.insert(tensor.packing.empty() ? dtype_name(tensor.dtype) : tensor.packing);
  }
  for (const std::string& dtype : dtypes) info.dtypes += (info.dtypes.empty() ? "" : ", ") + dtype;
  info.geometry = geometry_of(*weights, info.kind, options.transformer_config);
  info.extras = weights->extras();
  info.problem = unread_text(set);
  if (info.kind == CheckpointKind::kLora) describe_adapter(*weights, info);
  info.quantized = quantization_tensor(weights->names());
  if (info.quantized.empty()) info.missing = missing_tensors(*weights, info.kind);
  info.layout = weights->layout();
  if (options.size && info.quantized.empty() && info.kind == CheckpointKind::kWanTransformer)
    info.memory = transformer_memory(info, *options.size);
  return info;
}

void add_transformer_notes(const WeightSetInfo& set, SamplingKnown sampling, CheckpointInfo& info) {
  KnownCheckpoint known = recognize_checkpoint(info.path, value_of(set.geometry, "dim"));
  info.presets = std::move(known.presets);
  info.notes = std::move(known.notes);
  if (info.presets.empty() && info.notes.empty() && sampling == SamplingKnown::kNo)
    info.notes.push_back(
        "Nothing in the file says how it was trained: take frames per block, window, timestep shift and steps from its "
        "publisher. Only models trained block-causally render well.");
}

void add_notes(CheckpointInfo& info, SamplingKnown sampling) {
  const auto find = [&](CheckpointKind kind) {
    const auto found =
        std::find_if(info.sets.begin(), info.sets.end(), [&](const WeightSetInfo& set) { return set.kind == kind; });
    return found == info.sets.end() ? nullptr : &*found;
  };
  if (const WeightSetInfo* set = find(CheckpointKind::kWanTransformer)) add_transformer_notes(*set, sampling, info);
  if (find(CheckpointKind::kWanImageTransformer))
    info.notes.push_back(
        "Image-to-video weights with CLIP tokens cannot run block by block; use a text-to-video model.");
  if (find(CheckpointKind::kLora)) info.notes.push_back("A LoRA adapter: list it under `lora:` in the model file.");
  if (info.sets.size() < 2 || sampling == SamplingKnown::kYes) return;
  std::set<CheckpointKind> kinds;
  for (const WeightSetInfo& set : info.sets) kinds.insert(set.kind);
  info.notes.push_back(
      kinds.size() == info.sets.size()
          ? "Holds several models in one file: name it in the model file for each of them."
          : "Contains several sets of weights: select one with `transformer: {file: ..., weights: ...}`.");
}

int64_t bytes_of(const std::vector<fs::path>& files) {
  int64_t bytes = 0;
  for (const fs::path& file : files) {
    std::error_code unknown;
    const auto size = fs::file_size(file, unknown);
    if (!unknown) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

CheckpointInfo inspect_checkpoint(const fs::path& path, const InspectOptions& options) {
  CheckpointInfo info;
  info.path = path;
  const CheckpointContents contents = read_checkpoint(path);
  info.files = contents.files;
  info.bytes = bytes_of(info.files);
  for (const TensorSet& set : contents.sets) info.sets.push_back(describe_set(set, contents, path, options));
  add_notes(info, options.sampling);
  return info;
}

bool is_index(const fs::path& path) { return path.extension() == ".json" && path.stem().extension() == ".index"; }

// Weight files below `folder`: indices first, so that their shards can be skipped, then by name.
std::vector<fs::path> weight_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code unreadable;
  const auto options = fs::directory_options::skip_permission_denied;
  for (auto item = fs::recursive_directory_iterator(folder, options, unreadable);
       !unreadable && item != fs::recursive_directory_iterator(); item.increment(unreadable)) {
    if (item.depth() >= kMaxFolderDepth || item->path().filename().string().front() == '.')
      item.disable_recursion_pending();
    if (item->is_regular_file(unreadable) && is_weights_file(item->path())) files.push_back(item->path());
  }
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return std::make_pair(!is_index(a), a) < std::make_pair(!is_index(b), b);
  });
  return files;
}

bool has_tokenizer(const fs::path& folder) {
  std::error_code unreadable;
  for (auto item = fs::recursive_directory_iterator(folder, unreadable);
       !unreadable && item != fs::recursive_directory_iterator(); item.increment(unreadable))
    if (item->path().filename() == "spiece.model" || item->path().filename() == "tokenizer.model") return true;
  return false;
}

std::vector<std::string> missing_parts(const fs::path& folder, const std::vector<CheckpointInfo>& checkpoints) {
  std::set<CheckpointKind> kinds;
  for (const CheckpointInfo& checkpoint : checkpoints)
    for (const WeightSetInfo& set : checkpoint.sets) kinds.insert(set.kind);
  std::vector<std::string> missing;
  if (!kinds.count(CheckpointKind::kWanTransformer))
    missing.push_back("the video transformer (such as self_forcing_dmd.pt)");
  if (!kinds.count(CheckpointKind::kTextEncoder))
    missing.push_back("the text encoder (models_t5_umt5-xxl-enc-bf16.pth)");
  if (!has_tokenizer(folder)) missing.push_back("the tokenizer (google/umt5-xxl/spiece.model)");
  if (!kinds.count(CheckpointKind::kWanVae) && !kinds.count(CheckpointKind::kTinyVae))
    missing.push_back("the VAE (such as Wan2.1_VAE.pth or taew2_1.pth)");
  return missing;
}

}  // namespace

ModelInfo inspect_model(const fs::path& path, const InspectOptions& options) {
  ModelInfo info{path, {}, {}};
  std::error_code status;
  if (!fs::is_directory(path, status)) {
    info.checkpoints.push_back(inspect_checkpoint(path, options));
    return info;
  }
  std::set<fs::path> shards;
  for (const fs::path& file : weight_files(path)) {
    if (shards.count(file)) continue;
    CheckpointInfo checkpoint;
    try {
      checkpoint = inspect_checkpoint(file, options);
      if (is_index(file)) shards.insert(checkpoint.files.begin(), checkpoint.files.end());
    } catch (const Error& error) {
      checkpoint.path = file;
      checkpoint.problem = error.what();
    }
    info.checkpoints.push_back(std::move(checkpoint));
  }
  info.missing_parts = missing_parts(path, info.checkpoints);
  return info;
}

}  // namespace flashblock
