// Measures of a video, per frame block: of the video itself, and against a reference.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "media/motion_amplitude.h"
#include "pipeline/frame_sink.h"

namespace flashblock {

inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

/// Of frames with values from 0 to 1. Gray is the mean of the three colors.
struct FrameStatistics {
  double brightness = 0;  ///< mean of gray
  double contrast = 0;    ///< standard deviation of gray
  double saturation = 0;  ///< mean over pixels of the largest color minus the smallest
  double sharpness = 0;   ///< mean difference of gray between neighbors in a row, plus the same in a column
};

/// Mean over frames. Shape: `rgb` [T, H, W, 3] uint8.
FrameStatistics frame_statistics(const at::Tensor& rgb);

/// 10 log10(peak^2 / error), in dB; infinite for an error of 0. `error`: mean square.
double psnr(double error, double peak);

/// One frame block.
struct BlockMeasures {
  int64_t first_frame = 0;  ///< of the video
  int64_t frames = 0;
  FrameStatistics statistics;
  double flicker = kNotMeasured;        ///< mean of |x[t] - 2 x[t-1] + x[t-2]| / 2 over gray pixels and frames t
  double change_within = kNotMeasured;  ///< mean of |x[t] - x[t-1]| over gray pixels and frames but the block's first
  double change_at_border = kNotMeasured;  ///< the same for the block's first frame
  double latent_error = kNotMeasured;      ///< mean square of the difference to the reference
  double latent_ssim = kNotMeasured;       ///< mean over frames and channels
  double frame_error = kNotMeasured;       ///< mean square, frames in [0, 1]
  double frame_ssim = kNotMeasured;        ///< mean over frames and colors
};

/// The video that others are compared with.
struct ReferenceVideo {
  std::vector<at::Tensor> latents;  ///< of each block, [1, F, C, H, W] float32 on the CPU
  std::vector<at::Tensor> rgb;      ///< of each block, [T, H, W, 3] uint8
  float latent_smallest = std::numeric_limits<float>::infinity();
  float latent_largest = -std::numeric_limits<float>::infinity();

  double latent_range() const { return static_cast<double>(latent_largest) - static_cast<double>(latent_smallest); }
};

/// Measures the rendered part of a video, without a given start, block by block.
class VideoMeter : public FrameSink {
 public:
  /// `frames`: length of the rendered part; frames after it are not measured. `reference`: what the video is compared
  /// with, if any. `keep`: where the video is stored as a reference, if it is one. Both outlive the meter.
  /// `thumbnail_width`: largest width of the thumbnails.
  struct Options {
    int64_t frames = 0;
    const ReferenceVideo* reference = nullptr;
    ReferenceVideo* keep = nullptr;
    int64_t thumbnail_width = 416;
    bool motion = false;  ///< measure the motion amplitude, which takes longer than all else
  };
  explicit VideoMeter(const Options& options) : options_(options) {}

  void write(const RenderedBlock& block) override;

  const std::vector<BlockMeasures>& blocks() const { return blocks_; }
  /// The frames of each block, scaled down. Shape: [T, h, w, 3] uint8.
  const std::vector<at::Tensor>& thumbnails() const { return thumbnails_; }
  /// Of each frame.
  const std::vector<FrameStatistics>& frame_statistics() const { return frame_statistics_; }
  /// Of the whole video; NaN unless Options::motion is set.
  double motion_amplitude() const { return motion_.value(); }

 private:
  void measure_motion(const at::Tensor& gray, BlockMeasures& measures);
  void compare(const at::Tensor& latents, const at::Tensor& rgb, BlockMeasures& measures) const;

  Options options_;
  std::vector<BlockMeasures> blocks_;
  std::vector<at::Tensor> thumbnails_;
  std::vector<FrameStatistics> frame_statistics_;
  at::Tensor last_gray_;  ///< up to two frames before the block, [2, H, W]
  MotionAmplitude motion_;
  int64_t frames_ = 0;
};

}  // namespace flashblock
