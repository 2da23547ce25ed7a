// The interface that receives rendered frame blocks.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/transformer_state.h"

namespace flashblock {

/// Latents of a frame block, and the frames decoded from them.
struct RenderedBlock {
  int64_t index = 0;             ///< the frame block; -1: part of the start
  at::Tensor latents;            ///< [1, F, C, H, W], on the transformer's device
  at::Tensor rgb;                ///< [T, H, W, 3] uint8 on the CPU
  TransformerCounters counters;  ///< total work up to this block's latents
  at::Tensor pixels;             ///< [T, 3, H, W] in [0, 1], as decoded; undefined without SessionOptions::keep_pixels
};

/// Receives a video block by block, in order, on one thread. An error in the work for a block may be thrown later.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  virtual void write(const RenderedBlock& block) = 0;
  /// Returns when the work for all blocks is done; called after the last one, from any thread.
  virtual void finish() {}
};

}  // namespace flashblock
