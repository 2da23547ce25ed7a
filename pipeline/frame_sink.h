// Where rendered frame blocks go.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/transformer_state.h"

namespace flashblock {

/// Latents of some frames of the video, and the frames they became.
struct RenderedBlock {
  int64_t index = 0;             ///< the frame block; -1: part of the given start
  at::Tensor latents;            ///< [1, F, C, H, W], on the transformer's device
  at::Tensor rgb;                ///< [T, H, W, 3] uint8 on the CPU
  TransformerCounters counters;  ///< work on the video up to this block's latents
  at::Tensor pixels;             ///< [T, 3, H, W] in [0, 1], as decoded; undefined unless the session keeps it
};

/// Takes a video block by block, in order, on one thread.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  virtual void write(const RenderedBlock& block) = 0;
};

}  // namespace flashblock
