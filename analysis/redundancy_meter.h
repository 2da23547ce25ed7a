// Observers of attention that compare passes and count refreshes.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "analysis/redundancy.h"

namespace flashblock {

/// Compares the passes of each frame block while the video is rendered.
/// Requires: every pass computed ("every_pass").
class RedundancyMeter : public AttentionObserver {
 public:
  RedundancyMeter(int64_t layers, int64_t heads);
  void observe(const AttentionObservation& observation) override;

  /// Everything except the policies.
  Redundancy result() const;

 private:
  struct KeptPass {
    int64_t pass = 0;
    bool clean = false;
    AttentionState external, internal;
  };
  /// Sums over frame blocks, [layers, heads] float64, and how many went into each layer.
  struct Sum {
    at::Tensor sum, count;
  };
  struct PairSum {
    int64_t from = 0, to = 0;
    std::array<Sum, kChanges> changes;
  };
  struct BlockSum {
    double cosine = 0, internal_cosine = 0, share = 0;
    int64_t compared = 0, seen = 0;
  };

  Sum empty_sum() const;
  void add(Sum& sum, int64_t layer, const at::Tensor& heads) const;
  HeadGrid mean(const Sum& sum) const;
  PairSum& pair_sum(int64_t from, int64_t to);
  void compare(const KeptPass& earlier, const KeptPass& now, int64_t layer);

  int64_t layers_, heads_;
  std::vector<std::vector<KeptPass>> kept_;  // of each layer, in the current block
  std::vector<PairSum> pairs_;
  std::vector<Sum> shares_;
  std::vector<BlockSum> blocks_;
};

/// Counts which external attentions are computed.
class RefreshMeter : public AttentionObserver {
 public:
  RefreshMeter(int64_t layers, int64_t heads)
      : heads_(heads), denoised_(static_cast<size_t>(layers)), counts_(static_cast<size_t>(layers)) {}
  void observe(const AttentionObservation& observation) override;
  PolicyRefresh result(const std::string& name) const;

 private:
  struct Count {
    at::Tensor computed;  // [heads] int64
    int64_t all = 0;
  };
  int64_t heads_;
  int64_t steps_ = 0;                       // denoising passes of a block
  std::vector<bool> denoised_;              // of each layer: the block's clean pass comes next
  std::vector<std::vector<Count>> counts_;  // [layer][pass]
};

}  // namespace flashblock
