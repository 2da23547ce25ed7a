#include "media/ssim.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/test_data.h"

namespace flashblock {
namespace {

/// The planes of tests/data/ssim.py.
std::pair<at::Tensor, at::Tensor> drawn_planes(int64_t height, int64_t width) {
  at::Tensor a = at::empty({1, height, width}), b = at::empty({1, height, width});
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const double first = static_cast<double>((7 * x + 13 * y + x * y) % 61) / 60;
      a[0][y][x] = first;
      b[0][y][x] = 0.7 * first + 0.3 * static_cast<double>((5 * x + 3 * y) % 17) / 16;
    }
  }
  return {a, b};
}

TEST(SsimTest, AgreesWithScikitImage) {
  std::ifstream stream(testing::test_data("ssim.json"));
  const nlohmann::json values = nlohmann::json::parse(stream).at("values");
  for (const auto& entry : values) {
    const auto [a, b] = drawn_planes(entry.at("height"), entry.at("width"));
    EXPECT_NEAR(ssim(a, b, entry.at("range")), entry.at("ssim").get<double>(), 1e-6) << entry;
  }
}

TEST(SsimTest, EqualPlanesAreOneAndOrderDoesNotMatter) {
  const auto [a, b] = drawn_planes(20, 30);
  EXPECT_NEAR(ssim(a, a, 1), 1, 1e-9);
  EXPECT_NEAR(ssim(a, b, 1), ssim(b, a, 1), 1e-9);
  EXPECT_LT(ssim(a, b, 1), 0.95);
  EXPECT_LT(ssim(a, 1 - a, 1), 0) << "a negative is dissimilar in structure";
}

TEST(SsimTest, FlatPlanesDifferInLuminanceOnly) {
  // Without variance only (2 ab + C1) / (a^2 + b^2 + C1) is left; C1 = (0.01 * 1)^2.
  const double a = 0.25, b = 0.75, expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4);
  EXPECT_NEAR(ssim(at::full({1, 16, 16}, a), at::full({1, 16, 16}, b), 1), expected, 1e-6);
  // Planes count alike; even one that is smaller than the window.
  const at::Tensor first = at::full({2, 4, 6}, a);
  const at::Tensor second = at::cat({at::full({1, 4, 6}, a), at::full({1, 4, 6}, b)});
  EXPECT_NEAR(ssim(first, second, 1), (1 + expected) / 2, 1e-6);
}

}  // namespace
}  // namespace flashblock
