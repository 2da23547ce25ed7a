#include "pipeline/noise_source.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <vector>

namespace flashblock {
namespace {

TEST(SeededNoise, IsAPureFunctionOfItsArguments) {
  const SeededNoise noise(7);
  const at::Tensor first = noise.noise(3, 1, {1, 3, 16, 8, 8});
  noise.noise(0, 0, {1, 3, 16, 8, 8});
  EXPECT_TRUE(at::equal(first, noise.noise(3, 1, {1, 3, 16, 8, 8})));
  EXPECT_TRUE(at::equal(first, SeededNoise(7).noise(3, 1, {1, 3, 16, 8, 8})));
  EXPECT_EQ(first.scalar_type(), at::kFloat);
  EXPECT_TRUE(first.is_contiguous());
}

TEST(SeededNoise, DiffersBySeedBlockAndDraw) {
  const std::vector<int64_t> shape = {256};
  const at::Tensor base = SeededNoise(7).noise(3, 1, shape);
  for (const at::Tensor& other :
       {SeededNoise(8).noise(3, 1, shape), SeededNoise(7 + (uint64_t{1} << 32)).noise(3, 1, shape),
        SeededNoise(7).noise(4, 1, shape), SeededNoise(7).noise(3, 2, shape), SeededNoise(7).noise(1, 3, shape)})
    EXPECT_LT((base == other).sum().item<int64_t>(), 3);
}

TEST(NoiseAhead, GivesTheDrawsOfItsSourceAndNoMore) {
  class Counted : public SeededNoise {
   public:
    using SeededNoise::SeededNoise;
    at::Tensor noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const override {
      {
        const std::lock_guard lock(mutex);
        drawn.push_back(draw);
      }
      return SeededNoise::noise(frame_block, draw, shape);
    }
    mutable std::mutex mutex;
    mutable std::vector<int64_t> drawn;
  };
  const Counted source(7);
  {
    const NoiseAhead ahead(source, 3);
    for (int64_t draw = 0; draw < 3; ++draw)
      EXPECT_TRUE(at::equal(ahead.noise(5, draw, {40, 50}), SeededNoise(7).noise(5, draw, {40, 50})));
  }
  EXPECT_THAT(source.drawn, testing::UnorderedElementsAre(0, 1, 2));
}

TEST(SeededNoise, DoesNotDependOnThreadsOrLength) {
  const SeededNoise noise(1);
  const at::Tensor whole = noise.noise(0, 0, {100003});
  EXPECT_TRUE(at::equal(whole.narrow(0, 0, 50001), noise.noise(0, 0, {50001})));
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  EXPECT_TRUE(at::equal(whole, noise.noise(0, 0, {100003})));
  at::set_num_threads(threads);
}

TEST(SeededNoise, IsStandardNormal) {
  const int64_t count = 1'000'000;
  const at::Tensor x = SeededNoise(42).noise(5, 2, {count}).to(at::kDouble);
  const double error = 5 / std::sqrt(static_cast<double>(count));  // five standard errors
  EXPECT_NEAR(x.mean().item<double>(), 0, error);
  EXPECT_NEAR(x.pow(2).mean().item<double>(), 1, error * std::sqrt(2.0));
  EXPECT_NEAR(x.pow(3).mean().item<double>(), 0, error * std::sqrt(15.0));
  EXPECT_NEAR(x.pow(4).mean().item<double>(), 3, error * std::sqrt(96.0));
  EXPECT_NEAR((x.abs() < 1).to(at::kDouble).mean().item<double>(), 0.682689, error);
  EXPECT_NEAR((x.narrow(0, 0, count - 1) * x.narrow(0, 1, count - 1)).mean().item<double>(), 0, error);
  EXPECT_TRUE(x.isfinite().all().item<bool>());
}

TEST(SeededNoise, FollowsThePublishedGenerator) {
  // Known answer of Philox4x32-10 for key 0 and counter 0: 6627e8d5 e169c58d bc57ac4c 9b00dbd8 (Random123,
  // kat_vectors).
  const at::Tensor x = SeededNoise(0).noise(0, 0, {4});
  const auto normal = [](uint32_t radius, uint32_t angle, bool sine) {
    const double length = std::sqrt(-2 * std::log(((radius >> 8) + 1) / 16777216.0));
    const double turn = (angle >> 8) / 16777216.0 * 2 * M_PI;
    return length * (sine ? std::sin(turn) : std::cos(turn));
  };
  EXPECT_NEAR(x[0].item<float>(), normal(0x6627e8d5, 0xe169c58d, false), 1e-6);
  EXPECT_NEAR(x[1].item<float>(), normal(0x6627e8d5, 0xe169c58d, true), 1e-6);
  EXPECT_NEAR(x[2].item<float>(), normal(0xbc57ac4c, 0x9b00dbd8, false), 1e-6);
  EXPECT_NEAR(x[3].item<float>(), normal(0xbc57ac4c, 0x9b00dbd8, true), 1e-6);
}

}  // namespace
}  // namespace flashblock
