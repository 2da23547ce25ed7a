#include "media/optical_flow.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace flashblock {
namespace {

constexpr int kLevels = 3, kSmallest = 32, kIterations = 3, kWindow = 15, kRadius = 5;
constexpr double kDeviation = 1.2, kRegularization = 1e-3;

/// The image near each pixel as c + y b_y + x b_x + y^2 a_yy + x^2 a_xx + xy a_xy, without c; [H, W] float each.
enum Coefficient { kY, kX, kYy, kXx, kXy, kCoefficients };
using Expansion = std::array<cv::Mat, kCoefficients>;

/// What a window's displacement follows from: sums of A^T A and A^T b; [H, W] float each.
enum Term { kG11, kG12, kG22, kH1, kH2, kTerms };
using Equations = std::array<cv::Mat, kTerms>;

/// The weighted least squares fit of the six basis functions. Its matrix is diagonal but for the rows of 1, x^2 and
/// y^2; of its inverse, (x^2, y^2) is zero too, since the weights are a product of those of x and y.
struct Basis {
  cv::Mat weight, x, xx;                     ///< kernels: g, x g, x^2 g
  double linear, constant, square, product;  ///< of the inverse: (x, x), (1, x^2), (x^2, x^2), (xy, xy)

  Basis() {
    constexpr int size = 2 * kRadius + 1;
    weight = cv::getGaussianKernel(size, kDeviation, CV_64F);
    x = weight.clone();
    xx = weight.clone();
    double second = 0, fourth = 0;  // moments; the sum of the weights is 1
    for (int i = 0; i < size; ++i) {
      const double place = i - kRadius, g = weight.at<double>(i);
      x.at<double>(i) = place * g;
      xx.at<double>(i) = place * place * g;
      second += place * place * g;
      fourth += place * place * place * place * g;
    }
    linear = 1 / second;
    square = 1 / (fourth - second * second);
    constant = -second * square;
    product = 1 / (second * second);
  }
};

Expansion expand(const cv::Mat& image, const Basis& basis) {
  const auto moment = [&](const cv::Mat& along_x, const cv::Mat& along_y) {
    cv::Mat result;
    cv::sepFilter2D(image, result, CV_32F, along_x, along_y, {-1, -1}, 0, cv::BORDER_REPLICATE);
    return result;
  };
  const cv::Mat constant = moment(basis.weight, basis.weight) * basis.constant;
  Expansion expansion;
  expansion[kY] = moment(basis.weight, basis.x) * basis.linear;
  expansion[kX] = moment(basis.x, basis.weight) * basis.linear;
  expansion[kYy] = moment(basis.weight, basis.xx) * basis.square + constant;
  expansion[kXx] = moment(basis.xx, basis.weight) * basis.square + constant;
  expansion[kXy] = moment(basis.x, basis.x) * basis.product;
  return expansion;
}

/// Less near the border, where the expansion knows half of the neighborhood.
float certainty(int place, int length) {
  constexpr std::array<float, 5> kBorder = {0.14F, 0.14F, 0.4472F, 0.4472F, 0.4472F};
  const int distance = std::min(place, length - 1 - place);
  return distance < static_cast<int>(kBorder.size()) ? kBorder[static_cast<size_t>(distance)] : 1.0F;
}

/// The second image's expansion at a place between pixels, by linear interpolation; false outside.
bool sample(const Expansion& expansion, float x, float y, std::array<float, kCoefficients>& values) {
  const int left = static_cast<int>(std::floor(x)), top = static_cast<int>(std::floor(y));
  if (left < 0 || top < 0 || left >= expansion[0].cols - 1 || top >= expansion[0].rows - 1) return false;
  const float right_share = x - static_cast<float>(left), lower_share = y - static_cast<float>(top);
  for (size_t i = 0; i < values.size(); ++i) {
    const float* upper = expansion[i].ptr<float>(top) + left;
    const float* lower = expansion[i].ptr<float>(top + 1) + left;
    values[i] = (1 - lower_share) * ((1 - right_share) * upper[0] + right_share * upper[1]) +
                lower_share * ((1 - right_share) * lower[0] + right_share * lower[1]);
  }
  return true;
}

/// Each pixel's A (mean of both images) and b (difference of slopes, with the displacement so far put back).
Equations equations_of(const Expansion& first, const Expansion& second, const cv::Mat& flow) {
  Equations equations;
  for (cv::Mat& term : equations) term.create(flow.size(), CV_32F);
  for (int y = 0; y < flow.rows; ++y) {
    for (int x = 0; x < flow.cols; ++x) {
      const auto at = [&](Coefficient i) { return first[i].ptr<float>(y)[x]; };
      const cv::Vec2f d = flow.ptr<cv::Vec2f>(y)[x];
      std::array<float, kCoefficients> there = {0, 0, at(kYy), at(kXx), at(kXy)};
      sample(second, static_cast<float>(x) + d[0], static_cast<float>(y) + d[1], there);
      const float scale = certainty(x, flow.cols) * certainty(y, flow.rows);
      const float a_yy = (at(kYy) + there[kYy]) / 2 * scale, a_xx = (at(kXx) + there[kXx]) / 2 * scale;
      const float a_xy = (at(kXy) + there[kXy]) / 4 * scale;
      const float b_y = (at(kY) - there[kY]) / 2 * scale + a_yy * d[1] + a_xy * d[0];
      const float b_x = (at(kX) - there[kX]) / 2 * scale + a_xy * d[1] + a_xx * d[0];
      equations[kG11].ptr<float>(y)[x] = a_yy * a_yy + a_xy * a_xy;
      equations[kG12].ptr<float>(y)[x] = (a_yy + a_xx) * a_xy;
      equations[kG22].ptr<float>(y)[x] = a_xx * a_xx + a_xy * a_xy;
      equations[kH1].ptr<float>(y)[x] = a_yy * b_y + a_xy * b_x;
      equations[kH2].ptr<float>(y)[x] = a_xy * b_y + a_xx * b_x;
    }
  }
  return equations;
}

/// The displacement that fits best over each window.
void solve(Equations equations, cv::Mat& flow) {
  for (cv::Mat& term : equations) cv::blur(term, term, {kWindow, kWindow}, {-1, -1}, cv::BORDER_REPLICATE);
  for (int y = 0; y < flow.rows; ++y) {
    for (int x = 0; x < flow.cols; ++x) {
      const auto at = [&](Term i) { return static_cast<double>(equations[i].ptr<float>(y)[x]); };
      const double determinant = at(kG11) * at(kG22) - at(kG12) * at(kG12) + kRegularization;
      flow.ptr<cv::Vec2f>(y)[x] = {static_cast<float>((at(kG11) * at(kH2) - at(kG12) * at(kH1)) / determinant),
                                   static_cast<float>((at(kG22) * at(kH1) - at(kG12) * at(kH2)) / determinant)};
    }
  }
}

/// Shape: [H, W] uint8 to `size`, float, smoothed for it.
cv::Mat scaled_image(const cv::Mat& image, cv::Size size, double scale) {
  const double deviation = (1 / scale - 1) / 2;
  const int width = std::max(cvRound(deviation * 5) | 1, 3);
  cv::Mat smooth, scaled;
  image.convertTo(smooth, CV_32F);
  cv::GaussianBlur(smooth, smooth, {width, width}, deviation, deviation);
  cv::resize(smooth, scaled, size, 0, 0, cv::INTER_LINEAR);
  return scaled;
}

}  // namespace

cv::Mat farneback_flow(const cv::Mat& from, const cv::Mat& to) {
  const Basis basis;
  int level = 0;
  while (level < kLevels && std::min(from.cols, from.rows) * std::ldexp(1.0, -level - 1) >= kSmallest) ++level;
  cv::Mat flow;
  for (; level >= 0; --level) {
    const double scale = std::ldexp(1.0, -level);
    const cv::Size size(cvRound(from.cols * scale), cvRound(from.rows * scale));
    cv::Mat finer = cv::Mat::zeros(size, CV_32FC2);
    if (!flow.empty()) {
      cv::resize(flow, finer, size, 0, 0, cv::INTER_LINEAR);
      finer *= 2;
    }
    flow = finer;
    const Expansion first = expand(scaled_image(from, size, scale), basis);
    const Expansion second = expand(scaled_image(to, size, scale), basis);
    for (int i = 0; i < kIterations; ++i) solve(equations_of(first, second, flow), flow);
  }
  return flow;
}

}  // namespace flashblock
