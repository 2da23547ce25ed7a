// Error against work: refresh policies at many settings, held against exact attention on the same queries and keys.
#pragma once

#include <cstdint>
#include <vector>

#include "analysis/redundancy.h"
#include "attention/attention_observer.h"
#include "attention/block_attention.h"

namespace flashblock {

/// Refresh policies with and without correction, the published gate at several thresholds among them, calibrated on
/// the video that `redundancy` was measured on; then sparse attention alone and with residual.
std::vector<PolicyPoint> policy_points(const Redundancy& redundancy);

/// Puts every policy to work beside a video in which every attention is computed ("every_pass"): on the
/// video's own queries, keys and inner attention, so that all policies are asked the same and no error is passed on.
/// The error of a point is the root mean square, over frame blocks, layers and passes (refreshed ones too), of
/// |A - A_exact| / |A_exact|: A the merged output of all heads, the norm that over all its elements.
///
/// Besides, of passes that have two before them: the error if A_out (or L_out too) is copied from the pass before, and
/// if it is predicted from the two passes before, A_1 + step (A_1 - A_0), with the step that takes the queries q_0, q_1
/// of a head nearest to those of this pass. Their points have no share.
class PolicyReplay : public AttentionObserver {
 public:
  PolicyReplay(int64_t layers, std::vector<PolicyPoint> points);
  void observe(const AttentionObservation& observation) override;
  std::vector<PolicyPoint> result() const;

 private:
  struct Replayed {
    PolicyPoint point;
    std::vector<LayerExternal> layers;
    double square_error = 0;
    int64_t passes = 0;
  };
  struct KeptPass {
    at::Tensor query;
    AttentionState external;
  };
  struct Prediction {
    const char* name;
    double square_error = 0;
    int64_t passes = 0;
  };

  /// Adds what copying and predicting would have cost in this pass.
  void predict(const AttentionObservation& observation, const at::Tensor& right);

  std::vector<Replayed> policies_;
  std::vector<std::vector<KeptPass>> before_;  // of each layer: the last two passes
  std::vector<Prediction> predictions_ = {{"A_out copied, L_out exact"},
                                          {"A_out predicted, L_out exact"},
                                          {"A_out and L_out copied"},
                                          {"A_out and L_out predicted"}};
  std::vector<bool> begun_;  // of each layer: a block's denoising passes have been seen
};

}  // namespace flashblock
