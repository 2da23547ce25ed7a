#include "pipeline/unipc_solver.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/pipeline/schedule_reference.h"

namespace flashblock {
namespace {

struct Trace {
  std::string name;
  int64_t steps;
  double shift;
};

class UniPcTrace : public ::testing::TestWithParam<Trace> {};
INSTANTIATE_TEST_SUITE_P(Reference, UniPcTrace,
                         ::testing::Values(Trace{"unipc_shift5_n50", 50, 5}, Trace{"unipc_shift8_n20", 20, 8},
                                           Trace{"unipc_shift5_n8", 8, 5}));

TEST_P(UniPcTrace, FollowsTheReference) {
  const auto reference = testing::schedule_reference()[GetParam().name];
  UniPcSolver solver(GetParam().steps, GetParam().shift);
  EXPECT_EQ(solver.timesteps(), reference["timesteps"].get<std::vector<int64_t>>());
  EXPECT_EQ(solver.sigmas(), reference["sigmas"].get<std::vector<float>>());

  const std::vector<double> expected = reference["samples"];
  at::Tensor sample = at::full({1}, 1.0, at::kDouble);
  for (int64_t i = 0; i < GetParam().steps; ++i) {
    const double flow = 0.5 + 0.1 * static_cast<double>((7 * i) % 5);
    sample = solver.step(at::full({1}, flow, at::kDouble), sample);
    EXPECT_NEAR(sample.item<double>(), expected[i], 1e-7) << "step " << i;  // float32 scalars, summed in another order
  }
}

TEST(UniPcSolver, FollowsTheCheckValuesOfThreeSteps) {
  UniPcSolver solver(3, 5);
  EXPECT_EQ(solver.timesteps(), (std::vector<int64_t>{999, 908, 713}));
  at::Tensor sample = at::full({1}, 1.0, at::kDouble);
  const double flows[] = {0.5, 0.6, 0.7}, expected[] = {0.9545215069, 0.8321854149, 0.3323998187};
  for (int i = 0; i < 3; ++i) {
    sample = solver.step(at::full({1}, flows[i], at::kDouble), sample);
    EXPECT_NEAR(sample.item<double>(), expected[i], 1e-8) << "step " << i;
  }
}

TEST(UniPcSolver, OneStepIsTheEstimateOfX0) {
  UniPcSolver solver(1, 5);
  const at::Tensor x0 = solver.step(at::full({2}, 0.5), at::full({2}, 1.0));
  EXPECT_NEAR(x0[0].item<float>(), 1 - 0.5 * solver.sigmas()[0], 1e-6);
}

TEST(UniPcSolver, ExactFlowsEndAtX0) {
  // For a model that predicts x0 exactly, the result is exact for any number of steps: all estimates are equal.
  for (const int64_t steps : {2, 5, 40}) {
    UniPcSolver solver(steps, 5);
    const double x0 = 0.3;
    at::Tensor sample = at::full({1}, 1.7, at::kDouble);
    for (int64_t i = 0; i < steps; ++i) sample = solver.step((sample - x0) / solver.sigmas()[i], sample);
    EXPECT_NEAR(sample.item<double>(), x0, 1e-6);
  }
}

TEST(UniPcSolver, KeepsTheDtypeOfTheSample) {
  UniPcSolver solver(4, 5);
  at::Tensor sample = at::full({2}, 1.0, at::kBFloat16);
  for (int i = 0; i < 4; ++i) sample = solver.step(at::full({2}, 0.5, at::kBFloat16), sample);
  EXPECT_EQ(sample.scalar_type(), at::kBFloat16);
  EXPECT_THROW(solver.step(sample, sample), std::logic_error);
}

}  // namespace
}  // namespace flashblock
