// What a weights file or a model folder contains, from the names and shapes of its tensors; reads no weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/lora.h"
#include "models/video_geometry.h"
#include "weights/name_layout.h"

namespace flashblock {

enum class CheckpointKind {
  kWanTransformer,       ///< text-to-video transformer, names as in Wan2.1
  kWanImageTransformer,  ///< image-to-video transformer with CLIP image tokens: not supported
  kTextEncoder,          ///< UMT5 encoder
  kWanVae,               ///< Wan2.1 VAE
  kTinyVae,              ///< TAEHV
  kLora,                 ///< low-rank adapter
  kUnknown,
};

/// The kind in a few words, and as an identifier for JSON.
std::string describe(CheckpointKind kind);
std::string name_of(CheckpointKind kind);

/// Memory of the transformer alone, in bfloat16, at one frame size.
struct TransformerMemory {
  VideoGeometry geometry;
  int64_t window_frames = 0;  ///< latent frames in the KV cache
  int64_t weights_bytes = 0;
  int64_t cache_bytes = 0;  ///< keys and values of all layers
};

/// One set of weights: a file, or one entry of a file that contains several.
struct WeightSetInfo {
  std::string entry;  ///< value of `weights:` in the model file; empty if the file is one flat set
  CheckpointKind kind = CheckpointKind::kUnknown;
  int64_t tensors = 0;
  int64_t parameters = 0;
  std::string dtypes;                                     ///< such as "BFloat16" or "Float, BFloat16"
  std::vector<std::pair<std::string, int64_t>> geometry;  ///< such as {"dim", 1536}, {"layers", 30}
  NameLayout layout = NameLayout::kPublished;             ///< naming scheme of the tensors
  std::vector<std::string> missing;                       ///< required tensors that the set lacks
  std::string quantized;            ///< a tensor that only quantized weights have; those cannot be loaded. Else empty
  std::vector<std::string> extras;  ///< tensors that are no weights and are passed over
  std::string problem;              ///< why the set cannot be used, besides what is missing; else empty
  std::optional<LoraSummary> lora;  ///< of an adapter
  std::optional<TransformerMemory> memory;  ///< if a size was requested and the set is a text-to-video transformer
};

/// One file (or sharded set of files) of weights.
struct CheckpointInfo {
  std::filesystem::path path;
  std::vector<std::filesystem::path> files;  ///< itself, or its shards
  int64_t bytes = 0;                         ///< of all files
  std::vector<WeightSetInfo> sets;
  std::string problem;               ///< why it could not be read; empty if it was read
  std::vector<std::string> presets;  ///< matching presets in configs/models, by name and geometry
  std::vector<std::string> notes;    ///< what a user should know, one sentence each
};

/// What is at a path: one file, or a folder with the parts of a model.
struct ModelInfo {
  std::filesystem::path path;
  std::vector<CheckpointInfo> checkpoints;
  std::vector<std::string> missing_parts;  ///< of a folder: descriptions of the parts of a model that it lacks
};

/// Whether a model file states how the model is sampled.
enum class SamplingKnown { kNo, kYes };

struct InspectOptions {
  SamplingKnown sampling = SamplingKnown::kNo;
  std::optional<VideoGeometry> size;         ///< of frames, to report the memory for
  std::filesystem::path transformer_config;  ///< the config.json that a model file names; else the one beside the file
};

/// Inspects one weights file, sharded index, or folder (with subfolders, as diffusers lays models out).
/// A damaged file in a folder is reported in its `problem`; the others are still described.
/// Throws: WeightsError if the path does not exist, or if it is a single file that cannot be read.
ModelInfo inspect_model(const std::filesystem::path& path, const InspectOptions& options = {});

}  // namespace flashblock
