// The published refresh gate: which heads compute their external attention in which pass, found out beforehand.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace flashblock {

/// A table made by `flashblock analyze redundancy --gate`. A head computes in the first pass, and in a later one where,
/// since it last did, the cosine of A_out was below a threshold or L_out had changed by more than another one, in the
/// mean over a calibration video. Source: arXiv 2602.05305; thresholds 0.85 and 0.05.
struct RefreshGate {
  std::string name;   ///< where it is from, for messages
  int64_t heads = 0;  ///< of a layer
  int64_t steps = 0;  ///< denoising passes of a frame block
  /// [layer][pass][head], the clean pass last.
  std::vector<std::vector<std::vector<bool>>> computes;

  /// The heads that compute in pass number `pass` of a frame block, int64 on the CPU, rising. Passes beyond the table
  /// compute all: a video's first frame block may have more steps than the others.
  at::Tensor heads_of(int64_t layer, int64_t pass) const;

  /// Throws: ConfigError, naming the file and both sizes, for a model or a schedule it was not made for.
  void check(int64_t layers_wanted, int64_t heads_wanted, int64_t steps_wanted) const;
};

/// When a head of the published gate computes anew. Source: arXiv 2602.05305.
struct GateThresholds {
  double cosine = 0.85;      ///< below this cosine of A_out
  double lse_change = 0.05;  ///< above this mean change of L_out
};

}  // namespace flashblock
