// UniPC of order 2: the many-step solver of causal models that were not distilled.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flashblock {

/// Multi-step predictor-corrector on x0 predictions, variant "bh2", order 2 (1 at both ends), no thresholding.
/// One solver per frame block: it keeps the history of its steps.
/// Numerics: scalars float32; tensors in the dtype of the sample.
/// Source: Zhao et al. 2023, "UniPC", algorithms 5 and 7; Self-Forcing `wan/utils/fm_solvers_unipc.py`.
class UniPcSolver {
 public:
  /// Requires: steps >= 1, shift > 0.
  UniPcSolver(int64_t steps, double shift);

  /// Timesteps for the model: integers, truncated, not rounded. Shape: [steps].
  const std::vector<int64_t>& timesteps() const { return timesteps_; }
  /// The solver's sigmas, with 0 at the end. Shape: [steps + 1].
  const std::vector<float>& sigmas() const { return sigmas_; }

  /// The next sample, from the model's flow at the current one. The sample after the last step is x0.
  /// Shape: flow and sample alike; returns the same. Requires: called at most `steps` times.
  at::Tensor step(const at::Tensor& flow, const at::Tensor& sample);

 private:
  at::Tensor correct(const at::Tensor& x0) const;
  at::Tensor predict(int order, int64_t index) const;
  float lambda(int64_t index) const;

  std::vector<int64_t> timesteps_;
  std::vector<float> sigmas_;
  int64_t index_ = 0;                  ///< steps made so far
  int last_order_ = 0;                 ///< order of the latest prediction
  at::Tensor previous_x0_, older_x0_;  ///< the model's estimates at the two latest steps, from uncorrected samples
  at::Tensor corrected_;               ///< the latest sample after correction
};

}  // namespace flashblock
