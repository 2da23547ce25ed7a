// Dense optical flow. Private to media/.
#pragma once

#include <opencv2/core.hpp>

namespace flashblock {

/// How far each pixel of `from` has moved in `to`, by Farneback's polynomial expansion: a pyramid of three more levels,
/// each of half the size (fewer where one would be below 32 pixels), neighborhoods of radius 5 with deviation 1.2,
/// averages over windows of 15 x 15, three iterations per level. Agrees with cv::calcOpticalFlowFarneback(0.5, 3, 15,
/// 3, 5, 1.2, 0), whose library cannot be loaded beside LibTorch: it brings another protobuf.
/// Shape: [H, W] uint8 each to [H, W] of two floats, x and y, in pixels. Requires: one size.
/// Source: Farneback, Two-Frame Motion Estimation Based on Polynomial Expansion, SCIA 2003; borders, regularization and
/// pyramid as in OpenCV's modules/video/src/optflowgf.cpp.
cv::Mat farneback_flow(const cv::Mat& from, const cv::Mat& to);

}  // namespace flashblock
