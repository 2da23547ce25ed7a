// Models of any size with random weights, generated on the device: to measure time and memory without files.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <memory>
#include <string>

#include "language/language_config.h"
#include "pipeline/loaded_model.h"
#include "pipeline/recipe.h"

namespace flashblock {

/// Sizes of a model: its transformer, its text encoder, its VAE.
struct ModelGeometry {
  std::string name;
  int64_t width = 0, layers = 0, heads = 0, ffn = 0;  ///< of the transformer
  int64_t text_width = 4096, text_length = 512;       ///< of the text embedding; rows that the transformer sees
  int64_t text_layers = 24, text_ffn = 10240;         ///< of the UMT5 encoder; heads are 64 wide
  int64_t latent_channels = 16;                       ///< 16 of Wan2.1, or 48 of Wan2.2
  int64_t vae_width = 96;                             ///< of the encoder, in Wan2.2's
};

/// A published size, `wan2.1-1.3b`, `wan2.1-14b`, `wan2.2-5b`, `longlive-2-5b` (the same with its recipe) or `demo`
/// (the demo model's transformer and text encoder), or any other: `width=W,layers=N,heads=N,ffn=W`, and `text=W`,
/// `text_length=N`, `channels=48`, `vae=W` where they are not those of Wan2.1.
/// Throws: ConfigError.
ModelGeometry parse_geometry(const std::string& text);

/// The sampling recipe and video of published few-step models: 4 passes, blocks of 3 latent frames, window 21, 832x480;
/// those of the demo model for `demo` and of LongLive 2 for `longlive-2-5b`; 1280x704 for models of 48 channels.
ModelDescription random_description(const ModelGeometry& geometry);

/// The weights: normally distributed, scaled so that activations stay finite. (A matrix product takes more power, and
/// so more time, on random numbers than on zeros.) Each tensor is generated when it is read, on `device` and in
/// `dtype`, and not cached: the same numbers each time on devices of one kind. All token embeddings are the same
/// number.
ModelWeights random_weights(const ModelGeometry& geometry, at::Device device, at::ScalarType dtype);

/// The same for a language model.
std::shared_ptr<const WeightStore> random_language_weights(const LanguageConfig& config, at::Device device,
                                                           at::ScalarType dtype);

/// The same for the decoders: the VAE of Wan2.1, or of Wan2.2 for 48 channels, and the small ones, TAEHV. `width`: 0 is
/// the published one.
std::shared_ptr<const WeightStore> random_wan_vae(int64_t latent_channels, int64_t width, at::Device device,
                                                  at::ScalarType dtype);
std::shared_ptr<const WeightStore> random_taehv(int64_t latent_channels, at::Device device, at::ScalarType dtype);

}  // namespace flashblock
