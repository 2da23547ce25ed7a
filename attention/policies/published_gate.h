// The published refresh gate: a calibrated table of which heads compute their external attention in which pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "attention/refresh_policy.h"

namespace flashblock {

/// A calibrated gate. A head computes in the first pass, and in each later pass where, compared with the pass in which
/// it last computed, the cosine of A_ext is below one threshold or L_ext has changed by more than another, in the mean
/// over a calibration video. Source: arXiv 2602.05305; thresholds 0.85 and 0.05.
struct RefreshGate {
  std::string name;   ///< of the file, for messages
  int64_t heads = 0;  ///< of a layer
  int64_t steps = 0;  ///< denoising passes of a frame block
  /// [layer][pass][head], the clean pass last.
  std::vector<std::vector<std::vector<bool>>> computes;

  /// The heads that compute in pass number `pass` of a frame block, int64 on the CPU, ascending. Passes beyond the
  /// table compute all: a video's first frame block may have more steps than the others.
  at::Tensor heads_of(int64_t layer, int64_t pass) const;

  /// Throws: ConfigError, naming the file and both sizes, for a model or a schedule that it was not calibrated for.
  void check(const CalibratedSizes& wanted) const;
};

/// When a head of the published gate computes. Source: arXiv 2602.05305.
struct GateThresholds {
  double cosine = 0.85;      ///< below this cosine of A_ext
  double lse_change = 0.05;  ///< above this mean absolute change of L_ext
};

}  // namespace flashblock
