// From latents of one frame block to its pictures, streaming: a film is decoded call after call, with the same result
// as in one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace flashblock {

class WeightStore;

/// A video decoder that remembers what it needs of the latents it has already seen.
/// Thread safety: one thread at a time; two decoders are independent. On CUDA all work goes to the current stream.
class LatentDecoder {
 public:
  virtual ~LatentDecoder() = default;

  /// Pictures of the next latent frames of the film.
  /// Shape: latents [1, F, C, H, W], any float dtype, as the transformer emits them (normalised);
  ///   result [T, 3, 8H, 8W] float32 in [0, 1] on the decoder's device; T = 1 + 4 (F - 1) in the first call of a film,
  ///   4 F after it.
  /// Requires: F >= 1; H and W the same in all calls of a film.
  at::Tensor decode(const at::Tensor& latents);

  /// As decode, before the clamp to [0, 1]: what parity tests compare.
  virtual at::Tensor decode_unclamped(const at::Tensor& latents) = 0;

  /// Forgets the film: the next call starts another one, of any size. Cheap.
  virtual void reset() = 0;

  /// Channels C of the latents it decodes.
  virtual int64_t latent_channels() const = 0;

  /// Bytes held between two calls; constant from the second call of a film on.
  virtual int64_t state_bytes() const = 0;
};

/// Loads the decoder in a file: the Wan VAE (`decoder.conv1.weight`; its encoder may be absent) or TAEHV
/// (`decoder.1.weight`), with the widths and depths that the tensors' shapes tell. On CPU, float32 and bfloat16 are
/// both supported; bfloat16 pays where the processor multiplies it (AMX, avx512_bf16). Throws: WeightsError if the file
/// holds neither, or if tensors are missing, unexpected or mis-shaped.
std::unique_ptr<LatentDecoder> load_latent_decoder(const WeightStore& store, at::Device device, at::ScalarType dtype);

}  // namespace flashblock
