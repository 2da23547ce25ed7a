// Images in tensors as OpenCV sees them. Private to media/.
#pragma once

#include <ATen/core/Tensor.h>

#include <opencv2/imgproc.hpp>

namespace flashblock {

// Of images with text.
inline const cv::Scalar kPaper(24, 24, 26);   // RGB
inline const cv::Scalar kInk(214, 214, 208);  // RGB
constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;

/// A view. Shape: [H, W, 3] uint8 on the CPU, contiguous.
inline cv::Mat image_view(const at::Tensor& rgb) {
  return {static_cast<int>(rgb.size(0)), static_cast<int>(rgb.size(1)), CV_8UC3, rgb.data_ptr<uint8_t>()};
}

}  // namespace flashblock
