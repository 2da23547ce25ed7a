// Error against work: refresh policies at many settings, compared with exact attention on the same queries and keys.
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

/// Runs every policy next to a video in which every attention is computed ("every_pass"): on the queries,
/// keys and internal attention of that video, so that all policies have the same input and no error propagates.
/// The error of a point is the root mean square, over frame blocks, layers and passes (refreshed ones too), of
/// |A - A_exact| / |A_exact|: A is the merged output of all heads, the norm is over all its elements.
///
/// In addition, for passes with two passes before them: the error if A_ext (or L_ext too) is copied from the previous
/// pass, and if it is predicted from the two previous passes, A_1 + step (A_1 - A_0), with the step that takes the
/// queries q_0, q_1 of a head nearest to those of this pass. These points have no share.
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

  /// Adds the errors of copying and predicting in this pass.
  void predict(const AttentionObservation& observation, const at::Tensor& right);

  std::vector<Replayed> policies_;
  std::vector<std::vector<KeptPass>> before_;  // of each layer: the last two passes
  std::vector<Prediction> predictions_ = {{"A_ext copied, L_ext exact"},
                                          {"A_ext predicted, L_ext exact"},
                                          {"A_ext and L_ext copied"},
                                          {"A_ext and L_ext predicted"}};
  std::vector<bool> begun_;  // of each layer: a denoising pass of a block was observed
};

}  // namespace flashblock
