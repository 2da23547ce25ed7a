#include "pipeline/unipc_solver.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace flashblock {

UniPcSolver::UniPcSolver(int64_t steps, double shift) {
  FB_CHECK(steps >= 1 && shift > 0, "steps ", steps, ", shift ", shift);
  constexpr double kLargestSigma = 0.999F;  // widened from float32, as the published solver does
  for (int64_t i = 0; i < steps; ++i) {
    const double raw = kLargestSigma * static_cast<double>(steps - i) / static_cast<double>(steps);
    const double sigma = shift * raw / (1 + (shift - 1) * raw);
    timesteps_.push_back(static_cast<int64_t>(1000 * sigma));
    sigmas_.push_back(static_cast<float>(sigma));
  }
  sigmas_.push_back(0);
}

/// Half the log of the signal-to-noise ratio; infinite at the end.
float UniPcSolver::lambda(int64_t index) const { return std::log(1 - sigmas_[index]) - std::log(sigmas_[index]); }

at::Tensor UniPcSolver::step(const at::Tensor& flow, const at::Tensor& sample) {
  const auto count = static_cast<int64_t>(timesteps_.size());
  FB_CHECK(index_ < count, "step ", index_);
  const at::Tensor x0 = sample - flow * sigmas_[index_];
  corrected_ = index_ == 0 ? sample : correct(x0);
  older_x0_ = previous_x0_;
  previous_x0_ = x0;
  last_order_ = static_cast<int>(std::min<int64_t>({2, count - index_, index_ + 1}));
  return predict(last_order_, index_++);
}

/// Algorithm 5 of the paper (UniC): the sample at this step again, now that the model's estimate at it is known.
at::Tensor UniPcSolver::correct(const at::Tensor& x0) const {
  const int64_t i = index_;
  const float step = lambda(i) - lambda(i - 1);
  const float e = std::expm1(-step);
  const float scale = (1 - sigmas_[i]) * e;
  const at::Tensor base = corrected_ * (sigmas_[i] / sigmas_[i - 1]) - previous_x0_ * scale;
  const at::Tensor change = x0 - previous_x0_;
  if (last_order_ == 1) return base - change * 0.5F * scale;
  const float ratio = (lambda(i - 2) - lambda(i - 1)) / step;
  const float phi1 = e / -step - 1;
  const float phi2 = phi1 / -step - 0.5F;
  const float b1 = phi1 / e, b2 = 2 * phi2 / e;
  const float weight_past = (b1 - b2) / (1 - ratio), weight_now = (b2 - ratio * b1) / (1 - ratio);
  const at::Tensor past_change = (older_x0_ - previous_x0_) / ratio;
  return base - (past_change * weight_past + change * weight_now) * scale;
}

/// Algorithm 7 of the paper (UniP): from step i to i + 1.
at::Tensor UniPcSolver::predict(int order, int64_t i) const {
  if (sigmas_[i + 1] == 0) return previous_x0_;  // the limit: step infinite, e = -1
  const float step = lambda(i + 1) - lambda(i);
  const float scale = (1 - sigmas_[i + 1]) * std::expm1(-step);
  const at::Tensor base = corrected_ * (sigmas_[i + 1] / sigmas_[i]) - previous_x0_ * scale;
  if (order == 1) return base;
  const float ratio = (lambda(i - 1) - lambda(i)) / step;
  return base - (older_x0_ - previous_x0_) / ratio * 0.5F * scale;
}

}  // namespace flashblock
