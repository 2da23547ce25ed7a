#include "analysis/video_measures.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "media/frame_conversion.h"
#include "media/frame_grid.h"
#include "media/ssim.h"

namespace flashblock {
namespace {

double mean_value(const at::Tensor& x) { return x.mean(at::kDouble).item<double>(); }

at::Tensor gray_of(const at::Tensor& pixels) { return pixels.mean(1); }  // [T, 3, H, W] to [T, H, W]

/// Of each frame: brightness, contrast, saturation, sharpness. Shape: [T, 4] float64.
at::Tensor statistics_of(const at::Tensor& pixels, const at::Tensor& gray) {
  const auto means = [](const at::Tensor& x) { return x.flatten(1).mean(1, /*keepdim=*/false, at::kDouble); };
  const auto steps = [&](int64_t axis) {
    const int64_t length = gray.size(axis);
    if (length < 2) return at::zeros({gray.size(0)}, at::kDouble);
    return means((gray.narrow(axis, 1, length - 1) - gray.narrow(axis, 0, length - 1)).abs());
  };
  const at::Tensor contrast = gray.flatten(1).std(/*dim=*/1, /*unbiased=*/false).to(at::kDouble);
  return at::stack({means(gray), contrast, means(pixels.amax(1) - pixels.amin(1)), steps(2) + steps(1)}, 1);
}

FrameStatistics to_statistics(const at::Tensor& row) {
  const auto values = row.accessor<double, 1>();
  return {.brightness = values[0], .contrast = values[1], .saturation = values[2], .sharpness = values[3]};
}

void keep(const at::Tensor& latents, const at::Tensor& rgb, ReferenceVideo& reference) {
  reference.latents.push_back(latents);
  reference.rgb.push_back(rgb);
  reference.latent_smallest = std::min(reference.latent_smallest, latents.min().item<float>());
  reference.latent_largest = std::max(reference.latent_largest, latents.max().item<float>());
}

}  // namespace

FrameStatistics frame_statistics(const at::Tensor& rgb) {
  const at::Tensor pixels = from_rgb24(rgb);
  return to_statistics(statistics_of(pixels, gray_of(pixels)).mean(0));
}

double psnr(double error, double peak) { return 10 * std::log10(peak * peak / error); }

void VideoMeter::write(const RenderedBlock& block) {
  const int64_t count = std::min(block.rgb.size(0), options_.frames - frames_);
  if (block.index < 0 || count <= 0) return;
  const at::Tensor rgb = block.rgb.narrow(0, 0, count);
  const at::Tensor latents = block.latents.to(at::kCPU, at::kFloat);
  const at::Tensor pixels = from_rgb24(rgb);
  const at::Tensor gray = gray_of(pixels);
  const at::Tensor statistics = statistics_of(pixels, gray);
  for (int64_t t = 0; t < count; ++t) frame_statistics_.push_back(to_statistics(statistics[t]));
  BlockMeasures measures{.first_frame = frames_, .frames = count, .statistics = to_statistics(statistics.mean(0))};
  measure_motion(gray, measures);
  if (options_.motion) motion_.add(rgb);
  if (options_.reference) compare(latents, rgb, measures);
  if (options_.keep) keep(latents, rgb, *options_.keep);
  thumbnails_.push_back(shrink_frames(rgb, options_.thumbnail_width));
  blocks_.push_back(measures);
  frames_ += count;
}

void VideoMeter::measure_motion(const at::Tensor& gray, BlockMeasures& measures) {
  const int64_t before = last_gray_.defined() ? last_gray_.size(0) : 0;
  const at::Tensor all = before > 0 ? at::cat({last_gray_, gray}) : gray;
  const int64_t count = all.size(0);
  if (count >= 2) {
    const at::Tensor change = all.narrow(0, 1, count - 1) - all.narrow(0, 0, count - 1);
    if (before > 0) measures.change_at_border = mean_value(change[before - 1].abs());
    const int64_t within = gray.size(0) - 1;
    if (within > 0) measures.change_within = mean_value(change.narrow(0, change.size(0) - within, within).abs());
    // Of the changes, the first reaches back to the frame before last: with two frames before the block, every
    // frame of the block has a second difference.
    const int64_t second = change.size(0) - 1;
    if (second > 0)
      measures.flicker = mean_value((change.narrow(0, 1, second) - change.narrow(0, 0, second)).abs()) / 2;
  }
  last_gray_ = all.narrow(0, std::max<int64_t>(0, count - 2), std::min<int64_t>(2, count)).clone();
}

void VideoMeter::compare(const at::Tensor& latents, const at::Tensor& rgb, BlockMeasures& measures) const {
  const ReferenceVideo& reference = *options_.reference;
  const size_t index = blocks_.size();
  FB_CHECK(index < reference.latents.size(), "the reference ends before this video");
  const at::Tensor& other = reference.latents[index];
  measures.latent_error = mean_value((latents - other).square());
  if (reference.latent_range() > 0) {
    measures.latent_ssim = ssim(latents.flatten(0, 2), other.flatten(0, 2), reference.latent_range());
  }
  const at::Tensor pixels = from_rgb24(rgb), other_pixels = from_rgb24(reference.rgb[index]);
  measures.frame_error = mean_value((pixels - other_pixels).square());
  measures.frame_ssim = ssim(pixels.flatten(0, 1), other_pixels.flatten(0, 1), 1.0);
}

}  // namespace flashblock
