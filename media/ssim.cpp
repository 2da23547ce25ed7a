#include "media/ssim.h"

#include <ATen/core/Tensor.h>

#include <opencv2/imgproc.hpp>

#include "core/check.h"

namespace flashblock {
namespace {

cv::Mat local_mean(const cv::Mat& plane) {
  constexpr double kDeviation = 1.5;
  cv::Mat mean;
  cv::GaussianBlur(plane, mean, cv::Size(11, 11), kDeviation, kDeviation, cv::BORDER_REFLECT);
  return mean;
}

double plane_ssim(const cv::Mat& a, const cv::Mat& b, double c1, double c2) {
  const cv::Mat mean_a = local_mean(a), mean_b = local_mean(b);
  const cv::Mat mean_ab = mean_a.mul(mean_b), squares = mean_a.mul(mean_a) + mean_b.mul(mean_b);
  const cv::Mat covariance = local_mean(a.mul(b)) - mean_ab;
  const cv::Mat variances = local_mean(a.mul(a) + b.mul(b)) - squares;
  cv::Mat similarity;
  cv::divide((2 * mean_ab + c1).mul(2 * covariance + c2), (squares + c1).mul(variances + c2), similarity);
  return cv::mean(similarity)[0];
}

/// In float64: a variance is the small difference of two large means.
cv::Mat as_doubles(const at::Tensor& plane) {
  const cv::Mat floats(static_cast<int>(plane.size(0)), static_cast<int>(plane.size(1)), CV_32F,
                       plane.data_ptr<float>());
  cv::Mat doubles;
  floats.convertTo(doubles, CV_64F);
  return doubles;
}

}  // namespace

double ssim(const at::Tensor& a, const at::Tensor& b, double range) {
  FB_CHECK(a.dim() == 3 && a.sizes() == b.sizes() && a.numel() > 0 && range > 0, a.sizes(), b.sizes(), range);
  FB_CHECK(a.is_cpu() && b.is_cpu() && a.scalar_type() == at::kFloat && b.scalar_type() == at::kFloat);
  const at::Tensor planes_a = a.contiguous(), planes_b = b.contiguous();
  const double c1 = 0.01 * range * 0.01 * range, c2 = 0.03 * range * 0.03 * range;
  double sum = 0;
  for (int64_t i = 0; i < a.size(0); ++i) sum += plane_ssim(as_doubles(planes_a[i]), as_doubles(planes_b[i]), c1, c2);
  return sum / static_cast<double>(a.size(0));
}

}  // namespace flashblock
