// How far a rendering of an analysis is.
#pragma once

#include "pipeline/frame_sink.h"
#include "render/render.h"

namespace flashblock {

/// Reports each frame block of a video to an observer, and passes it on to `next` if there is one.
class ProgressSink : public FrameSink {
 public:
  ProgressSink(RenderObserver& observer, int64_t blocks, FrameSink* next = nullptr)
      : observer_(observer), next_(next), progress_{.blocks = blocks} {}

  void write(const RenderedBlock& block) override {
    if (next_) next_->write(block);
    progress_.frames += block.rgb.size(0);
    if (block.index >= 0) ++progress_.block;
    observer_.progress(progress_);
  }

 private:
  RenderObserver& observer_;
  FrameSink* next_;
  RenderProgress progress_;
};

}  // namespace flashblock
