// The tensors of a Wan VAE file: their names, widths, and the modules they belong to.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "vae/convolution.h"
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

/// A module of the list `decoder.upsamples` or `encoder.downsamples`, with its name.
struct StageWeights {
  std::string name;
  std::variant<ResidualWeights, ResampleWeights> module;
};

/// The encoder or the decoder; `latent_conv` is the 1x1x1 convolution between it and the latents. All float32.
struct CoderWeights {
  ConvWeights input, output, latent_conv;
  ResidualWeights middle0, middle2;
  SpatialAttentionWeights attention;
  std::vector<StageWeights> stages;
  at::Tensor output_norm;  ///< [C] float32
  int64_t latent_channels = 0;
};

/// Loads `decoder.*` and `conv2`. Widths and depths are those of the file; widths must match.
/// Requires: strides in space and time are (8, 8) and 4, as everywhere else in the program.
/// Throws: WeightsError that lists everything missing, mis-shaped or unexpected.
/// Source: Self-Forcing `wan/modules/vae.py`, Decoder3d and Encoder3d.
CoderWeights load_decoder_weights(const WeightStore& store, at::Device device);

/// Loads `encoder.*` and `conv1`; otherwise as load_decoder_weights.
CoderWeights load_encoder_weights(const WeightStore& store, at::Device device);

}  // namespace flashblock
