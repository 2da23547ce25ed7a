// The motion amplitude of drawn videos, as OpenCV's Python package computes it, and of a pattern of known motion.
#include "media/motion_amplitude.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sin.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/test_data.h"

namespace flashblock {
namespace {

double amplitude_of(const at::Tensor& rgb) {
  MotionAmplitude meter;
  meter.add(rgb);
  return meter.value();
}

int64_t parabola(int64_t x, int64_t period) { return (x % period - period / 2) * (x % period - period / 2); }

/// The video of tests/data/motion_amplitude.py. Shape: [frames, height, width, 3] uint8.
at::Tensor drawn_video(int64_t frames, int64_t height, int64_t width, int64_t right, int64_t down) {
  const at::Tensor video = at::empty({frames, height, width, 3}, at::kByte);
  auto* pixel = video.data_ptr<uint8_t>();
  for (int64_t t = 0; t < frames; ++t) {
    for (int64_t row = 0; row < height; ++row) {
      for (int64_t column = 0; column < width; ++column) {
        const int64_t x = column - right * t + 1000, y = row - down * t + 1000;
        const int64_t wave = parabola(7 * x + 2 * y, 126) / 40 + parabola(3 * x - 11 * y + 99000, 132) / 44;
        *pixel++ = static_cast<uint8_t>(wave);
        *pixel++ = static_cast<uint8_t>(wave + 50);
        *pixel++ = static_cast<uint8_t>(200 - wave);
      }
    }
  }
  return video;
}

TEST(MotionAmplitudeTest, AgreesWithTheScriptOnDrawnVideos) {
  std::ifstream stream(testing::test_data("motion_amplitude.json"));
  const nlohmann::json values = nlohmann::json::parse(stream).at("values");
  ASSERT_EQ(values.size(), 3u);
  for (const auto& entry : values) {
    const at::Tensor video =
        drawn_video(entry.at("frames"), entry.at("height"), entry.at("width"), entry.at("right"), entry.at("down"));
    ASSERT_EQ(video.sum().item<int64_t>(), entry.at("sum").get<int64_t>()) << "another video: " << entry;
    const double expected = entry.at("motion_amplitude");
    EXPECT_NEAR(amplitude_of(video), expected, 2e-3 * expected) << entry;
  }
}

TEST(MotionAmplitudeTest, IsTheShiftOfAMovingPattern) {
  const auto moving_pattern = [](double shift) {  // to the right, in pixels per frame. Shape: [3, 96, 640, 3] uint8
    const at::Tensor y = at::arange(96, at::kDouble).view({1, 96, 1});
    const at::Tensor x = at::arange(640, at::kDouble).view({1, 1, 640});
    const at::Tensor moved = x - shift * at::arange(3, at::kDouble).view({3, 1, 1});
    const at::Tensor gray =
        127.5 + 70 * at::sin(moved * 0.35) * at::cos(y * 0.3) + 50 * at::sin(0.2 * moved + 0.25 * y);
    return gray.round().to(at::kByte).unsqueeze(3).expand({3, 96, 640, 3}).contiguous();
  };
  // Half of the shift, since the other component is zero.
  EXPECT_NEAR(amplitude_of(moving_pattern(2)), 1.0, 0.01);
  EXPECT_NEAR(amplitude_of(moving_pattern(-1)), 0.5, 0.01);
  EXPECT_NEAR(amplitude_of(moving_pattern(0)), 0.0, 0.001);
}

TEST(MotionAmplitudeTest, DoesNotDependOnHowFramesArrive) {
  const at::Tensor video = drawn_video(5, 60, 80, 1, 1);
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
