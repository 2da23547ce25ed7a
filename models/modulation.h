// Modulation of the layers by the timestep: shift, scale and gate vectors.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace flashblock {

/// Timesteps of the latent frames of one pass: one for all of them, or one each.
class FrameTimes {
 public:
  FrameTimes(double all) : values_{all} {}
  /// Requires: at least one. Equal ones are one for all.
  explicit FrameTimes(std::vector<double> each) : values_(std::move(each)) {
    if (std::equal(values_.begin() + 1, values_.end(), values_.begin())) values_.resize(1);
  }

  const std::vector<double>& values() const { return values_; }  ///< one, or one per latent frame
  bool operator<(const FrameTimes& other) const { return values_ < other.values_; }

 private:
  std::vector<double> values_;
};

/// One layer's, each [1, 1, dim], or [1, F, dim] where frames differ. Scales are stored as 1 + scale.
struct LayerModulation {
  at::Tensor attention_shift, attention_scale, attention_gate;
  at::Tensor ffn_shift, ffn_scale, ffn_gate;
};

/// All layers and the head at the times of a pass.
struct Modulation {
  std::vector<LayerModulation> layers;
  at::Tensor head_shift, head_scale;  ///< [1, 1, dim] or [1, F, dim]; the scale as 1 + scale
};

/// [cos(t w_i), sin(t w_i)] with w_i = 10000^(-i / (length/2)): cosines first, float64.
/// Source: Self-Forcing `wan/modules/model.py` sinusoidal_embedding_1d.
std::vector<double> timestep_sinusoid(double timestep, int64_t length);

}  // namespace flashblock
