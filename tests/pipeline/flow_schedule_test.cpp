#include "pipeline/flow_schedule.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "tests/pipeline/schedule_reference.h"

namespace flashblock {
namespace {

class FlowScheduleAtShift : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Shifts, FlowScheduleAtShift, ::testing::Values(1, 3, 5, 8));

// The reference's tables came from LibTorch 1.13, whose linspace differs from LibTorch 2's in the last bit in places.
// Shifts 5 and 8, which models are published with, are the same in both.
TEST_P(FlowScheduleAtShift, EqualsTheReference) {
  const FlowSchedule schedule(GetParam());
  const auto reference = testing::schedule_reference()["shift" + std::to_string(GetParam())];
  const std::vector<float> head = reference["sigmas_head"], tail = reference["sigmas_tail"];
  const auto& sigmas = schedule.sigmas();
  ASSERT_EQ(sigmas.size(), 1000U);
  EXPECT_EQ(std::vector(sigmas.begin(), sigmas.begin() + 5), head);
  EXPECT_EQ(std::vector(sigmas.end() - 5, sigmas.end()), tail);
  EXPECT_EQ(schedule.sigma_at(0), reference["sigma_of_0"].get<float>());

  const std::vector<double> warped = schedule.warped({1000, 750, 500, 250});
  const std::vector<float> times = reference["warped"], levels = reference["sigma_of_warped"];
  for (size_t i = 0; i < warped.size(); ++i) {
    if (GetParam() >= 5) {
      EXPECT_EQ(warped[i], times[i]);
      EXPECT_EQ(schedule.sigma_at(warped[i]), levels[i]);
    } else {
      EXPECT_FLOAT_EQ(static_cast<float>(warped[i]), times[i]);
      EXPECT_FLOAT_EQ(schedule.sigma_at(warped[i]), levels[i]);
    }
  }
}

TEST_P(FlowScheduleAtShift, IsWhatLibTorchComputes) {
  const at::Tensor s = at::linspace(1, 0, 1001).narrow(0, 0, 1000);
  const at::Tensor expected = s.mul(GetParam()).div(s.mul(GetParam() - 1).add(1));
  const FlowSchedule schedule(GetParam());
  for (int64_t i = 0; i < 1000; ++i) ASSERT_FLOAT_EQ(schedule.sigmas()[i], expected[i].item<float>()) << "level " << i;
}

TEST(FlowSchedule, DecreasesStrictly) {
  for (const double shift : {0.5, 1.0, 5.0, 12.0}) {
    const FlowSchedule schedule(shift);
    for (size_t i = 1; i < schedule.sigmas().size(); ++i) ASSERT_LT(schedule.sigmas()[i], schedule.sigmas()[i - 1]);
  }
}

TEST(FlowSchedule, UnwarpedTimesTakeTheNearestLevel) {
  const FlowSchedule schedule(5);
  EXPECT_FLOAT_EQ(schedule.sigma_at(750), 0.75000006F);
  EXPECT_FLOAT_EQ(schedule.sigma_at(500), 0.50059956F);
  EXPECT_FLOAT_EQ(schedule.sigma_at(250), 0.25159743F);
  EXPECT_EQ(schedule.sigma_at(2000), 1.0F);
}

TEST(FlowSchedule, WarpKeepsTheEnds) { EXPECT_EQ(FlowSchedule(5).warped({1000, 0}), (std::vector<double>{1000, 0})); }

at::Tensor full_of(double value, at::ScalarType dtype) { return at::full({1, 1, 1}, value, dtype); }

TEST(FlowSchedule, AddNoiseRoundsOnce) {
  const FlowSchedule five(5), eight(8);
  const at::Tensor one = full_of(1, at::kFloat), zero = full_of(0, at::kFloat);
  EXPECT_EQ(add_noise(one, zero, five.sigma_at(937.5)).item<float>(), 0.0625F);
  const at::Tensor rounded = add_noise(one.to(at::kBFloat16), zero.to(at::kBFloat16), eight.sigma_at(960));
  EXPECT_EQ(rounded.scalar_type(), at::kBFloat16);
  EXPECT_EQ(rounded.item<float>(), 0.0400390625F);
}

TEST(FlowSchedule, AddNoiseAndX0AreInverse) {
  const float sigma = FlowSchedule(5).sigma_at(625);
  const at::Tensor x0 = at::tensor({0.25F, -1.5F, 3.0F}), noise = at::tensor({1.0F, -0.5F, 0.125F});
  const at::Tensor back = x0_from_flow(add_noise(x0, noise, sigma), noise - x0, sigma);
  EXPECT_LT((back - x0).abs().max().item<float>(), 3e-7F);
}

TEST(FlowSchedule, X0IsRoundedOnce) {
  // 255 * 0.998 = 254.49 leaves 1.51; a product rounded to bfloat16 (254) would leave 2.
  const at::Tensor x0 = x0_from_flow(full_of(256, at::kBFloat16), full_of(255, at::kBFloat16), 0.998F);
  EXPECT_EQ(x0.scalar_type(), at::kBFloat16);
  EXPECT_NEAR(x0.item<float>(), 1.51F, 0.004F);
}

}  // namespace
}  // namespace flashblock
