#include "pipeline/flow_schedule.h"

#include <ATen/TensorOperators.h>

#include <cmath>

#include "core/check.h"

namespace flashblock {

FlowSchedule::FlowSchedule(double shift) {
  FB_CHECK(shift > 0, "shift ", shift);
  constexpr float kStep = -1.0F / kLevels;
  const auto factor = static_cast<float>(shift);
  const auto slope = static_cast<float>(shift - 1);
  for (int64_t i = 0; i < kLevels; ++i) {
    // Counted from the nearer end with one rounding, as LibTorch 2's linspace(1, 0, 1001): last bits depend on it.
    const float s =
        i < kLevels / 2 ? std::fma(kStep, static_cast<float>(i), 1.0F) : -kStep * static_cast<float>(kLevels - i);
    sigmas_.push_back(factor * s / (1 + slope * s));
    timesteps_.push_back(sigmas_.back() * kLevels);
  }
}

float FlowSchedule::sigma_at(double timestep) const {
  int64_t nearest = 0;
  for (int64_t i = 1; i < kLevels; ++i)
    if (std::abs(timesteps_[i] - timestep) < std::abs(timesteps_[nearest] - timestep)) nearest = i;
  return sigmas_[nearest];
}

std::vector<double> FlowSchedule::warped(const std::vector<double>& steps) const {
  std::vector<double> times;
  for (const double step : steps) {
    FB_CHECK(step >= 0 && step <= kLevels && step == std::floor(step), "step ", step);
    const auto index = kLevels - static_cast<int64_t>(step);
    times.push_back(index == kLevels ? 0.0 : timesteps_[index]);
  }
  return times;
}

at::Tensor x0_from_flow(const at::Tensor& x_t, const at::Tensor& flow, float sigma) {
  FB_CHECK(x_t.sizes() == flow.sizes());
  const auto exact = at::kDouble;
  return (x_t.to(exact) - flow.to(exact) * static_cast<double>(sigma)).to(flow.scalar_type());
}

at::Tensor add_noise(const at::Tensor& x0, const at::Tensor& noise, float sigma) {
  FB_CHECK(x0.sizes() == noise.sizes());
  const float kept = 1 - sigma;
  return (x0.to(at::kFloat) * kept + noise.to(at::kFloat) * sigma).to(noise.scalar_type());
}

}  // namespace flashblock
