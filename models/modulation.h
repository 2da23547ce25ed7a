// Modulation of the layers by the timestep: shift, scale and gate vectors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flashblock {

/// One layer's, each [1, 1, dim]. Scales are stored as 1 + scale.
struct LayerModulation {
  at::Tensor attention_shift, attention_scale, attention_gate;
  at::Tensor ffn_shift, ffn_scale, ffn_gate;
};

/// All layers and the head at one timestep. All frames of a block share the timestep.
struct Modulation {
  std::vector<LayerModulation> layers;
  at::Tensor head_shift, head_scale;  ///< [1, 1, dim]; the scale as 1 + scale
};

/// [cos(t w_i), sin(t w_i)] with w_i = 10000^(-i / (length/2)): cosines first, float64.
/// Source: Self-Forcing `wan/modules/model.py` sinusoidal_embedding_1d.
std::vector<double> timestep_sinusoid(double timestep, int64_t length);

}  // namespace flashblock
