// The latents behind the transformer's context, kept to recompute it under another prompt.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>

#include "pipeline/recipe.h"

namespace flashblock {

/// Latent frames whose keys and values were written in one clean pass.
struct ContextBlock {
  int64_t start_frame = 0;
  at::Tensor latents;   ///< [1, F, C, H, W]
  double timestep = 0;  ///< of the clean pass
};

/// Keeps the blocks that the next frame block attends to: those with sink frames, and those in the window.
class ContextHistory {
 public:
  explicit ContextHistory(const Recipe& recipe)
      : window_frames_(recipe.window_frames),
        sink_frames_(recipe.sink_frames),
        frames_per_block_(recipe.frames_per_block) {}

  void add(ContextBlock block) {
    const int64_t end_frame = block.start_frame + block.latents.size(1);
    blocks_.push_back(std::move(block));
    if (window_frames_ < 0) return;
    const int64_t first_visible = end_frame - (window_frames_ - sink_frames_ - frames_per_block_);
    std::erase_if(blocks_, [&](const ContextBlock& past) {
      return past.start_frame >= sink_frames_ && past.start_frame + past.latents.size(1) <= first_visible;
    });
  }

  /// In temporal order.
  const std::deque<ContextBlock>& blocks() const { return blocks_; }

 private:
  int64_t window_frames_, sink_frames_, frames_per_block_;
  std::deque<ContextBlock> blocks_;
};

}  // namespace flashblock
