// The motion amplitude of patterns that move by a known distance.
#include "media/motion_amplitude.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/sin.h>
#include <gtest/gtest.h>

#include <cmath>

namespace flashblock {
namespace {

/// A smooth pattern that moves by `shift` pixels a frame to the right. Shape: [frames, 96, 160, 3] uint8.
at::Tensor moving_pattern(int64_t frames, double shift) {
  const at::Tensor y = at::arange(96, at::kDouble).view({1, 96, 1}), x = at::arange(160, at::kDouble).view({1, 1, 160});
  const at::Tensor moved = x - shift * at::arange(frames, at::kDouble).view({frames, 1, 1});
  const at::Tensor gray = 127.5 + 60 * at::sin(moved * 0.35) * at::cos(y * 0.3) + 50 * at::sin(0.11 * moved + 0.2 * y);
  return gray.round().to(at::kByte).unsqueeze(3).expand({frames, 96, 160, 3}).contiguous();
}

double amplitude_of(const at::Tensor& rgb) {
  MotionAmplitude meter;
  meter.add(rgb);
  return meter.value();
}

TEST(MotionAmplitudeTest, IsTheShiftOfAMovingPattern) {
  // Two pixels of 160 are eight of 640; half of it, since the other component is zero.
  EXPECT_NEAR(amplitude_of(moving_pattern(4, 2)), 4.0, 0.6);
  EXPECT_NEAR(amplitude_of(moving_pattern(4, -1)), 2.0, 0.3);
  EXPECT_NEAR(amplitude_of(moving_pattern(3, 0)), 0.0, 1e-6);
}

TEST(MotionAmplitudeTest, DoesNotDependOnHowFramesArrive) {
  const at::Tensor video = moving_pattern(5, 1.5);
  MotionAmplitude meter;
  EXPECT_TRUE(std::isnan(meter.value()));
  meter.add(video.narrow(0, 0, 1));
  EXPECT_TRUE(std::isnan(meter.value()));
  meter.add(video.narrow(0, 1, 3));
  meter.add(video.narrow(0, 4, 1));
  EXPECT_DOUBLE_EQ(meter.value(), amplitude_of(video));
}

}  // namespace
}  // namespace flashblock
