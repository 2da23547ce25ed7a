// The noise schedule of the few-step models: timesteps, sigmas, and the conversions between x_t, x0 and flow.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flashblock {

/// x_sigma = (1 - sigma) x0 + sigma noise; flow = noise - x0. Tables of 1000 noise levels, shifted
/// towards noise. Source: Self-Forcing `utils/scheduler.py`, `FlowMatchScheduler` (sigma_min 0, one extra step).
class FlowSchedule {
 public:
  static constexpr int64_t kLevels = 1000;

  /// Requires: shift > 0.
  explicit FlowSchedule(double shift);

  /// sigma_i = shift s_i / (1 + (shift - 1) s_i) with s_i = 1 - i / 1000; strictly decreasing from 1. Shape: [1000].
  const std::vector<float>& sigmas() const { return sigmas_; }
  /// 1000 sigma_i. Shape: [1000].
  const std::vector<float>& timesteps() const { return timesteps_; }

  /// Sigma of the table's timestep nearest to `timestep`; for timestep 0 that of the table's last one, not 0.
  float sigma_at(double timestep) const;

  /// Maps step k of 0..1000 to the shifted table's timestep at 1000 - k; 0 stays 0. 1000 750 500 250 at shift 5 become
  /// 1000 937.5 833.33 625. Requires: whole numbers in 0..1000.
  std::vector<double> warped(const std::vector<double>& steps) const;

 private:
  std::vector<float> sigmas_;
  std::vector<float> timesteps_;
};

/// x0 = x_t - sigma flow, in float64, rounded once to the dtype of `flow`.
/// Shape: x_t, flow alike; returns the same. Source: Self-Forcing `utils/wan_wrapper.py`, `_convert_flow_pred_to_x0`.
at::Tensor x0_from_flow(const at::Tensor& x_t, const at::Tensor& flow, float sigma);

/// (1 - sigma) x0 + sigma noise, in float32, rounded once to the dtype of `noise`.
/// Shape: x0, noise alike; returns the same. Source: Self-Forcing `utils/scheduler.py`, `add_noise`.
at::Tensor add_noise(const at::Tensor& x0, const at::Tensor& noise, float sigma);

}  // namespace flashblock
