// Frames between tensors and the encoder: float RGB, 8-bit RGB, and BT.709 limited-range YUV.
#pragma once

#include <cstdint>
#include <memory>

#include "media/video_codec.h"

struct AVFrame;
struct SwsContext;
namespace at {
class Tensor;
}

namespace flashblock {

/// Rounds frames in [0, 1] to 8 bits and interleaves them; values out of range are clamped.
/// Shape: [T, 3, H, W] any floating dtype -> [T, H, W, 3] uint8, contiguous, on the same device. On a GPU this makes
/// the copy to the host four times smaller.
at::Tensor to_rgb24(const at::Tensor& frames);

/// The inverse: [T, H, W, 3] uint8 -> [T, 3, H, W] float32 in [0, 1], contiguous.
at::Tensor from_rgb24(const at::Tensor& frames);

/// Converts full-range RGB frames of one size to what an encoder takes: YUV with the BT.709 matrix and limited range,
/// exactly rounded, or 8-bit RGB.
class FrameConverter {
 public:
  /// `encoding`: also says what convert() gets, see takes_rgb24.
  FrameConverter(int64_t width, int64_t height, const VideoEncoding& encoding);

  /// Fills the planes of `frame`. Floats become the encoder's levels in one step, rounded once.
  /// Shape: `rgb` [H, W, 3] uint8 or [3, H, W] float32 in [0, 1], on the CPU, contiguous. Throws: MediaError.
  void convert(const at::Tensor& rgb, AVFrame& frame);

 private:
  struct Deleter {
    void operator()(SwsContext* context) const;
  };
  bool floats_;
  std::unique_ptr<SwsContext, Deleter> context_;
};

/// Converts a decoded frame of any pixel format to RGB, according to its colour matrix and range tags (untagged:
/// limited range, and BT.709 from 1280 columns or more than 576 rows on, else BT.601, as mpv does). What is transparent
/// lies on white. `memory` is filled if it has the right shape and nobody else holds it. Shape: returns [H, W, 3]
/// uint8. Throws: MediaError; also for a colour matrix that is not known.
at::Tensor frame_to_rgb24(const AVFrame& frame, at::Tensor&& memory);
at::Tensor frame_to_rgb24(const AVFrame& frame);

}  // namespace flashblock
