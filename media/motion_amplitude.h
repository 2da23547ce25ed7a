// How much moves in a video, by dense optical flow.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace flashblock {

/// The motion amplitude of HeliosBench: frames are scaled to a width of 640; the flow from each frame to the next is
/// Farneback's (pyramid of 3 levels of half the size, window 15, 3 iterations, neighborhoods of 5 with deviation 1.2),
/// scaled to a width of 16 by area averaging; the value is the size of the mean of both components over all places and
/// frames. Pixels of the scaled frame per frame; movements in opposite directions cancel out, as they do there.
/// Source: Helios, arXiv 2603.04379; PKU-YuanGroup/Helios, eval/1_get_motion_amplitude.py. It differs in the scaling of
/// frames (bilinear here, that of FFmpeg there) and in that frames are measured before they are encoded.
class MotionAmplitude {
 public:
  /// The next frames. Shape: `rgb` [T, H, W, 3] uint8 on the CPU.
  void add(const at::Tensor& rgb);

  /// NaN before the second frame.
  double value() const;

 private:
  at::Tensor last_;  ///< the last frame, scaled and gray, [h, w] uint8
  double sum_ = 0;   ///< of the mean flows
  int64_t count_ = 0;
};

}  // namespace flashblock
