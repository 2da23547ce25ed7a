// From latents of one frame block to its frames, streaming: a video is decoded call after call, with the same result
// as in one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "vae/layer_memory.h"

namespace flashblock {

class WeightStore;

/// A video decoder that remembers what it needs of the latents it has already seen.
/// Thread safety: one thread at a time, but for begin() beside finish(); two decoders are independent. On CUDA all work
/// goes to the current stream.
class LatentDecoder {
 public:
  virtual ~LatentDecoder() = default;

  /// Frames of the next latent frames of the video.
  /// Shape: latents [1, F, C, H, W], any float dtype, as the transformer emits them (normalised);
  ///   result [T, 3, 8H, 8W] float32 in [0, 1] on the decoder's device; T = 1 + 4 (F - 1) in the first call of a video,
  ///   4 F after it.
  /// Requires: F >= 1; H and W the same in all calls of a video.
  at::Tensor decode(const at::Tensor& latents);

  /// Latents of one call on their way through the network: tensors that a decoder's first half hands to its second.
  using HalfDecoded = std::vector<at::Tensor>;

  /// decode() in two parts of similar work, with the same result: finish(begin(latents)). One thread may begin the next
  /// call's latents while another finishes these; each half takes the calls in order. A decoder that has no halves does
  /// all its work in finish(). Shape: as decode.
  virtual HalfDecoded begin(const at::Tensor& latents) { return {latents}; }
  at::Tensor finish(const HalfDecoded& half);

  /// Parts of similar work that begin() and finish() are: two, or one of a decoder that has no halves.
  virtual int parts() const { return 1; }

  /// As decode, before the clamp to [0, 1]: what parity tests compare.
  virtual at::Tensor decode_unclamped(const at::Tensor& latents) = 0;

  /// Forgets the video: the next call starts another one, of any size. Cheap.
  virtual void reset() = 0;

  /// Takes up a video in its middle: decode() then goes on, bit for bit, as after the calls so far. No frames are
  /// made, and each layer sees only the latest latents that its memory still depends on, so that this takes the time of
  /// a few calls, however long the video is. Shape: `calls` the latents of every decode() call of the video, in order,
  /// as they were given; on any device.
  void restore(const std::vector<at::Tensor>& calls);

  /// Channels C of the latents it decodes.
  virtual int64_t latent_channels() const = 0;

  /// Bytes held between two calls; constant from the second call of a video on.
  virtual int64_t state_bytes() const = 0;

 protected:
  /// As finish, before the clamp.
  virtual at::Tensor finish_unclamped(const HalfDecoded& half) { return decode_unclamped(half.front()); }

  /// The layers that latents pass through, in order.
  virtual std::vector<LayerMemory> layer_memories() const = 0;

  /// Where in a video some latents are.
  enum class Place { kStart, kLater };

  /// Runs the first `layers` layers, for what they remember. kLater: no frame of these is the video's first one,
  /// whatever the layers have seen. Shape: `latents` [F, H, W, C] of the compute dtype, as split.
  virtual void remember(const at::Tensor& latents, size_t layers, Place place) = 0;

  /// Latents of a call as the layers take them. Shape: [1, F, C, H, W] to [F, H, W, C] of the compute dtype.
  virtual at::Tensor to_frames(const at::Tensor& latents) const = 0;

  /// Parts of `frames` [F, H, W, C] that go through the network together.
  static std::vector<at::Tensor> split(const at::Tensor& frames);
};

/// Latent frames of this size that go through a decoder together: three where frames are small, since fewer calls
/// take less time; one where they are large, since what each layer works on grows with it (the Wan VAE at 832x480 in
/// bfloat16: 4.3 GB for three).
int64_t latent_frames_together(int64_t latent_height, int64_t latent_width);

/// Loads the decoder in a file: the Wan VAE (`decoder.conv1.weight`; its encoder may be absent) or TAEHV
/// (`decoder.1.weight`), with the widths and depths that the tensors' shapes tell. On CPU, float32 and bfloat16 are
/// both supported; bfloat16 pays where the processor multiplies it (AMX, avx512_bf16). Throws: WeightsError if the file
/// holds neither, or if tensors are missing, unexpected or mis-shaped.
std::unique_ptr<LatentDecoder> load_latent_decoder(const WeightStore& store, at::Device device, at::ScalarType dtype);

}  // namespace flashblock
