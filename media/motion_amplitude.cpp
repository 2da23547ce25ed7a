#include "media/motion_amplitude.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <opencv2/imgproc.hpp>

#include "core/check.h"
#include "media/image_view.h"
#include "media/optical_flow.h"

namespace flashblock {
namespace {

constexpr int kWidth = 640, kFlowWidth = 16;

cv::Mat gray_view(const at::Tensor& gray) {
  return {static_cast<int>(gray.size(0)), static_cast<int>(gray.size(1)), CV_8UC1, gray.data_ptr<uint8_t>()};
}

/// Shape: [H, W, 3] uint8 to [h, 640] uint8, h even.
at::Tensor scaled_gray(const at::Tensor& rgb) {
  const auto height = static_cast<int>(kWidth * rgb.size(0) / rgb.size(1));
  const int even = std::max(2, static_cast<int>(std::nearbyint(height / 2.0)) * 2);
  cv::Mat scaled;
  cv::resize(image_view(rgb), scaled, cv::Size(kWidth, even), 0, 0, cv::INTER_LINEAR);
  const at::Tensor gray = at::empty({even, kWidth}, rgb.options());
  cv::Mat view = gray_view(gray);
  cv::cvtColor(scaled, view, cv::COLOR_RGB2GRAY);
  return gray;
}

/// The mean of both components of the flow, from the map that is scaled down.
double mean_flow(const at::Tensor& from, const at::Tensor& to) {
  const cv::Mat flow = farneback_flow(gray_view(from), gray_view(to));
  cv::Mat small;
  const int height = std::max(1, flow.rows * kFlowWidth / flow.cols);
  cv::resize(flow, small, cv::Size(kFlowWidth, height), 0, 0, cv::INTER_AREA);
  const cv::Scalar mean = cv::mean(small);
  return (mean[0] + mean[1]) / 2;
}

}  // namespace

void MotionAmplitude::add(const at::Tensor& rgb) {
  FB_CHECK(rgb.dim() == 4 && rgb.size(3) == 3 && rgb.scalar_type() == at::kByte, "rgb ", rgb.sizes());
  for (int64_t i = 0; i < rgb.size(0); ++i) {
    const at::Tensor gray = scaled_gray(rgb[i].contiguous());
    if (last_.defined()) sum_ += mean_flow(last_, gray), ++count_;
    last_ = gray;
  }
}

double MotionAmplitude::value() const {
  return count_ > 0 ? std::abs(sum_ / static_cast<double>(count_)) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace flashblock
