// The parts of a model, loaded on first use.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/profile.h"
#include "models/model_config.h"
#include "models/video_transformer.h"
#include "pipeline/recipe.h"
#include "pipeline/session_inputs.h"
#include "vae/decoder_precision.h"
#include "vae/latent_decoder.h"

namespace flashblock {

class Followers;
class LatentEncoder;
class LazyTokenizer;
class RenderLine;
class WeightStore;

/// Weights in memory that replace those of the model file.
struct ModelWeights {
  std::shared_ptr<const WeightStore> transformer, text_encoder, vae;
};

/// Where the parts of a model are kept.
struct ModelOptions {
  /// Memory of the transformer's layers.
  LayerPlacement placement = LayerPlacement::kResident;
  /// Arithmetic of their linears.
  LinearPrecision linears = LinearPrecision::kNative;
  /// Calibration of int8 linears (models/linear_calibration.h), a file; empty: none.
  std::filesystem::path calibration;
  /// Arithmetic of the decoder.
  DecoderPrecision decoder = DecoderPrecision::kNative;
  /// Of the decoder; none: where the transformer is.
  std::optional<at::Device> decoder_device;
  /// Folder of encoded prompts (EmbeddingCache); empty: not cached.
  std::filesystem::path embedding_cache;
  /// Null: the files that the description names.
  ModelWeights weights;
};

/// What a video's sizes follow from.
struct ModelSizes {
  TransformerConfig transformer;
  VaeStrides strides;
  std::shared_ptr<const LazyTokenizer> tokenizer = {};  ///< null: there is none
  int64_t decoder_width = 0;  ///< channels of the full VAE's decoder at the size of frames; 0: a small decoder
};

/// One model on one device, or with its decoder on another. The text encoder and, but for encoder(), the VAE encoder
/// are in memory only while they work; the transformer, the decoder and the render line stay, for any number of videos.
/// Thread safety: tokenize() and encode() may be called from any thread at any time; the other members from one thread.
/// Throws, all members: WeightsError for files that are missing or do not fit; DeviceError.
class LoadedModel {
 public:
  /// Reads no tensors yet but those of a calibration. Throws: ConfigError for a calibration of another model. `profile`
  /// gets the stages `load`, `encode prompt` and `encode start`.
  LoadedModel(ModelDescription description, at::Device device, at::ScalarType dtype, Profile& profile,
              ModelOptions options = {});

  const ModelDescription& description() const { return description_; }
  /// Sizes of the transformer, from its config.json and its tensors' shapes.
  const TransformerConfig& transformer_config() const { return transformer_config_; }
  /// With the strides of the VAE, read from its file, and the tokenizer, not loaded yet. Throws: WeightsError, also if
  /// the two do not belong together.
  ModelSizes sizes() const;
  at::Device device() const { return device_; }
  at::Device decoder_device() const { return options_.decoder_device.value_or(device_); }
  at::ScalarType dtype() const { return dtype_; }
  const ModelOptions& options() const { return options_; }

  /// Opens the weights' files without reading tensors. Throws: WeightsError if the model file names none.
  std::shared_ptr<const WeightStore> open_transformer() const;
  std::shared_ptr<const WeightStore> open_text_encoder() const;
  std::shared_ptr<const WeightStore> open_vae() const;

  /// Token ids and masks of prompts. Shape: each [1, L] int64.
  std::vector<EncodedPrompt> tokenize(const std::vector<std::string>& prompts) const;

  /// Encodes the prompts that have no embedding, from ids and mask.
  void encode(const std::vector<EncodedPrompt*>& prompts) const;

  /// Latents of the frames that a video starts with.
  /// Shape: `pixels` [T, 3, H, W] in [0, 1], T = 1 + 4 k; returns [1, 1 + k, C, H / s, W / s], s the
  /// encoder's pixel stride.
  at::Tensor encode_start(const at::Tensor& pixels) const;

  std::shared_ptr<const VideoTransformer> transformer();
  std::shared_ptr<LatentDecoder> decoder();
  /// The VAE's encoder, for context rules that encode frames. Throws: WeightsError, also for a VAE without one.
  std::shared_ptr<LatentEncoder> encoder();
  /// The other processes that compute its videos; null: this one alone. Kept by the owner of the processes.
  const std::shared_ptr<const Followers>& followers() const { return followers_; }
  void set_followers(std::shared_ptr<const Followers> followers) { followers_ = std::move(followers); }
  /// Threads and streams of its videos, which render one at a time.
  std::shared_ptr<RenderLine> line();

 private:
  ModelDescription description_;
  at::Device device_;
  at::ScalarType dtype_;
  Profile& profile_;
  ModelOptions options_;
  TransformerConfig transformer_config_;
  std::shared_ptr<const LinearCalibration> calibration_;  ///< null: none
  std::shared_ptr<const LazyTokenizer> tokenizer_;
  std::shared_ptr<const VideoTransformer> transformer_;
  std::shared_ptr<LatentDecoder> decoder_;
  std::shared_ptr<LatentEncoder> encoder_;
  std::shared_ptr<RenderLine> line_;
  std::shared_ptr<const Followers> followers_;
};

}  // namespace flashblock
