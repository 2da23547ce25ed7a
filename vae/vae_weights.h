// The tensors of a Wan VAE file: their names, widths, and the modules they belong to.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "vae/convolution.h"
#include "weights/vae_layout.h"
#include "weights/weight_store.h"

namespace flashblock {

/// `P.residual.{0,2,3,6}` and, where the widths differ, `P.shortcut`.
struct ResidualWeights {
  at::Tensor norm1, norm2;  ///< [C] float32
  ConvWeights conv1, conv2, shortcut;
};

/// `P.norm`, `P.to_qkv`, `P.proj`.
struct SpatialAttentionWeights {
  at::Tensor norm;  ///< [C] float32
  ConvWeights to_qkv, proj;
};

/// `P.resample.1` and, where it also changes the frame rate, `P.time_conv`.
struct ResampleWeights {
  ConvWeights spatial, time;
};

/// A stage of Wan2.2 with its shortcut, `P.upsamples.I` or `P.downsamples.I`: residual blocks, then the resampler.
struct ShortcutStageWeights {
  std::vector<std::pair<std::string, ResidualWeights>> blocks;
  std::string resampler;     ///< its name; empty: none
  ResampleWeights resample;  ///< undefined without one
  int64_t in_channels = 0, out_channels = 0;
};

/// A module of the list `decoder.upsamples` or `encoder.downsamples`, with its name.
struct StageWeights {
  std::string name;
  std::variant<ResidualWeights, ResampleWeights, ShortcutStageWeights> module;
};

/// The encoder or the decoder; `latent_conv` is the 1x1x1 convolution between it and the latents. All float32.
struct CoderWeights {
  ConvWeights input, output, latent_conv;
  ResidualWeights middle0, middle2;
  SpatialAttentionWeights attention;
  std::vector<StageWeights> stages;
  at::Tensor output_norm;  ///< [C] float32
  VaeLayout layout;
};

/// Loads `decoder.*` and `conv2`. Widths and depths are those of the file; widths must match.
/// Requires: the resamplers have strides in space and time of (8, 8) and 4, as in Wan2.1 and Wan2.2.
/// Throws: WeightsError that lists everything missing, mis-shaped or unexpected.
/// Source: Self-Forcing `wan/modules/vae.py` and Wan2.2 `wan/modules/vae2_2.py`, Decoder3d and Encoder3d.
CoderWeights load_decoder_weights(const WeightStore& store, at::Device device);

/// Loads `encoder.*` and `conv1`; otherwise as load_decoder_weights.
CoderWeights load_encoder_weights(const WeightStore& store, at::Device device);

}  // namespace flashblock
