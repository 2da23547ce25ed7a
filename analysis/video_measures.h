// What is measured of a video, frame block by frame block: by itself, and against another video.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "pipeline/frame_sink.h"

namespace flashblock {

inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

/// Of frames with values from 0 to 1. Grey is the mean of the three colours.
struct FrameStatistics {
  double brightness = 0;  ///< mean of grey
  double contrast = 0;    ///< standard deviation of grey
  double saturation = 0;  ///< mean over pixels of the largest colour minus the smallest
  double sharpness = 0;   ///< mean difference of grey between neighbours in a row, plus the same in a column
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
  double flicker = kNotMeasured;        ///< mean of |x[t] - 2 x[t-1] + x[t-2]| / 2 over grey pixels and frames t
  double change_inside = kNotMeasured;  ///< mean of |x[t] - x[t-1]| over grey pixels and frames but the block's first
  double change_at_border = kNotMeasured;  ///< the same for the block's first frame
  double latent_error = kNotMeasured;      ///< mean square of the difference to the reference
  double latent_ssim = kNotMeasured;       ///< mean over frames and channels
  double frame_error = kNotMeasured;       ///< mean square, frames in [0, 1]
  double frame_ssim = kNotMeasured;        ///< mean over frames and colours
};

/// A video that others are held against.
struct ReferenceVideo {
  std::vector<at::Tensor> latents;  ///< of each block, [1, F, C, H, W] float32 on the CPU
  std::vector<at::Tensor> rgb;      ///< of each block, [T, H, W, 3] uint8
  float latent_smallest = std::numeric_limits<float>::infinity();
  float latent_largest = -std::numeric_limits<float>::infinity();

  double latent_range() const { return static_cast<double>(latent_largest) - static_cast<double>(latent_smallest); }
};

/// Measures the rendered part of a video while it passes by. A given start is left out.
class VideoMeter : public FrameSink {
 public:
  /// `frames`: length of the rendered part; what is beyond it is cut. `reference`: none for the video that is the
  /// reference, and then `keep` takes it; it outlives the meter. `thumbnail_width`: of the frames that are kept.
  struct Options {
    int64_t frames = 0;
    const ReferenceVideo* reference = nullptr;
    ReferenceVideo* keep = nullptr;
    int64_t thumbnail_width = 416;
  };
  explicit VideoMeter(const Options& options) : options_(options) {}

  void write(const RenderedBlock& block) override;

  const std::vector<BlockMeasures>& blocks() const { return blocks_; }
  /// The frames of each block, made smaller. Shape: [T, h, w, 3] uint8.
  const std::vector<at::Tensor>& thumbnails() const { return thumbnails_; }

 private:
  void measure_motion(const at::Tensor& grey, BlockMeasures& measures);
  void compare(const at::Tensor& latents, const at::Tensor& rgb, BlockMeasures& measures) const;

  Options options_;
  std::vector<BlockMeasures> blocks_;
  std::vector<at::Tensor> thumbnails_;
  at::Tensor last_grey_;  ///< up to two frames before the block, [2, H, W]
  int64_t frames_ = 0;
};

}  // namespace flashblock
