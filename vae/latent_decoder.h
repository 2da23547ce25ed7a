// From latents to pixels, streaming: a video is decoded in any number of calls, with the same result as in one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "vae/decoder_precision.h"
#include "vae/layer_memory.h"

namespace flashblock {

class WeightStore;

/// Multiplications and additions of convolutions, two for each weight of a product.
struct ConvolutionOperations {
  double native = 0, eight_bits = 0;  ///< by the arithmetic that computes them
};

/// A streaming video decoder: keeps the features of earlier latents that later ones depend on.
/// Thread safety: one thread at a time, except that begin() and finish() may run concurrently; two decoders are
/// independent. On CUDA all work goes to the current stream.
class LatentDecoder {
 public:
  virtual ~LatentDecoder() = default;

  /// Pixels of the next latent frames of the video.
  /// Shape: latents [1, F, C, H, W], any float dtype, as the transformer emits them (normalised);
  ///   result [T, 3, s H, s W] float32 in [0, 1] on the decoder's device, s the pixel stride; T = 1 + 4 (F - 1) in the
  ///   first call of a video, 4 F after it.
  /// Requires: F >= 1; H and W the same in all calls of a video.
  at::Tensor decode(const at::Tensor& latents);

  /// The output of the decoder's first half for the latents of one call, input of its second half.
  using HalfDecoded = std::vector<at::Tensor>;

  /// decode() in two halves of similar work, with the same result: finish(begin(latents)). One thread may begin the
  /// next call's latents while another finishes these; each half takes the calls in order. A decoder without halves
  /// does all its work in finish(). Shape: as decode.
  virtual HalfDecoded begin(const at::Tensor& latents) { return {latents}; }
  at::Tensor finish(const HalfDecoded& half);

  /// 2 if begin() and finish() are halves of similar work, 1 for a decoder without halves.
  virtual int parts() const { return 1; }

  /// As decode, before the clamp to [0, 1]; for parity tests.
  virtual at::Tensor decode_unclamped(const at::Tensor& latents) = 0;

  /// Clears the state: the next call starts another video, of any size. Cheap.
  virtual void reset() = 0;

  /// Restores the state after some decode() calls: the next one continues the video with the same bits. No pixels are
  /// computed, and each layer processes only the latest latents that its history depends on, so that the cost is that
  /// of a few calls, however long the video is. Shape: `calls` the latents of every decode() call so far, in order, as
  /// they were passed; on any device.
  void restore(const std::vector<at::Tensor>& calls);

  /// Channels C of the latents.
  virtual int64_t latent_channels() const = 0;

  /// Pixels per latent, in each direction.
  virtual int64_t pixel_stride() const = 0;

  /// Of one latent position in mid-video, as computed here; 0 for a decoder that does not count them.
  virtual ConvolutionOperations operations_per_latent() const { return {}; }

  /// Bytes held between two calls; constant from the second call of a video on.
  virtual int64_t state_bytes() const = 0;

 protected:
  /// As finish, before the clamp.
  virtual at::Tensor finish_unclamped(const HalfDecoded& half) { return decode_unclamped(half.front()); }

  /// The layers that latents pass through, in order.
  virtual std::vector<LayerMemory> layer_memories() const = 0;

  /// Position of some latents in a video.
  enum class Place { kStart, kLater };

  /// Runs the first `layers` layers to fill their histories. kLater: the video's first frame is not among these
  /// latents, even if the histories are empty. Shape: `latents` [F, H, W, C] of the compute dtype, as split.
  virtual void fill_history(const at::Tensor& latents, size_t layers, Place place) = 0;

  /// Latents of a call in the layout of the layers. Shape: [1, F, C, H, W] to [F, H, W, C] of the compute dtype.
  virtual at::Tensor to_frames(const at::Tensor& latents) const = 0;

  /// Splits `frames` [F, H, W, C] into parts that go through the network together.
  static std::vector<at::Tensor> split(const at::Tensor& frames);
};

/// Latent frames of this size that go through a decoder together: three where frames are small, since fewer calls
/// take less time; one where they are large, since the layers' working memory grows with it (the Wan VAE at 832x480
/// in bfloat16: 4.3 GB for three).
int64_t latent_frames_together(int64_t latent_height, int64_t latent_width);

/// Loads the decoder in a file, of any network of read_vae_layout (the encoder may be absent), with widths and depths
/// from the tensors' shapes. On CPU, float32 and bfloat16 are both supported; bfloat16 is faster on processors with
/// bfloat16 arithmetic (AMX, avx512_bf16). Throws: WeightsError if the file contains no decoder, or if tensors are
/// missing, unexpected or mis-shaped.
/// `precision`: of Wan's decoders; the small ones are native.
std::unique_ptr<LatentDecoder> load_latent_decoder(const WeightStore& store, at::Device device, at::ScalarType dtype,
                                                   DecoderPrecision precision = DecoderPrecision::kNative);

}  // namespace flashblock
