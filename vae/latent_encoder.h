// From pixels to latents, streaming: for renders that start from an image or a video.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace flashblock {

class WeightStore;

/// A streaming video encoder: keeps the features of earlier frames that later ones depend on.
/// Thread safety: one thread at a time; two encoders are independent. On CUDA all work goes to the current stream.
class LatentEncoder {
 public:
  virtual ~LatentEncoder() = default;

  /// Latents of the next frames of the video: the mean of the posterior (no sampling), normalised.
  /// Shape: pixels [T, 3, H, W] in [0, 1]; result [1, F, C, H/s, W/s] float32 on the encoder's device;
  ///   s the pixel stride; F = 1 + (T - 1) / 4 in the first call of a video, T / 4 after it.
  /// Requires: T = 1 + 4 k in the first call, 4 k (k >= 1) after it; H and W multiples of s, the same in all calls.
  virtual at::Tensor encode(const at::Tensor& pixels) = 0;

  /// Clears the state: the next call starts another video, of any size. Cheap.
  virtual void reset() = 0;

  /// Channels C of the latents.
  virtual int64_t latent_channels() const = 0;

  /// Pixels per latent, in each direction.
  virtual int64_t pixel_stride() const = 0;
};

/// Loads the encoder in a Wan VAE file, with widths and depths from the tensors' shapes.
/// Throws: WeightsError if the file has no encoder, or if tensors are missing, unexpected or mis-shaped.
std::unique_ptr<LatentEncoder> load_latent_encoder(const WeightStore& store, at::Device device, at::ScalarType dtype);

}  // namespace flashblock
