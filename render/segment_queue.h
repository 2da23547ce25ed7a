// Segments that are encoded side by side and stored one after another.
#pragma once

#include <functional>
#include <memory>

#include "media/video_writer.h"
#include "pipeline/render_line.h"

namespace flashblock {

/// Encodes up to three segments of one video at the same time: the encoder has a fixed number of threads, since its
/// output depends on it, and fewer than a GPU machine has cores. Segments are stored in order, each as soon as it and
/// those before it are encoded, on a thread of the queue. Nothing waits for more segments than one.
class SegmentQueue {
 public:
  /// kOff: add() does all the work itself, on the caller's thread. `writer` outlives the queue.
  SegmentQueue(VideoWriter& writer, Overlap overlap);
  /// Waits for what was added.
  ~SegmentQueue();

  /// Encodes and stores the next frame block, then calls `stored` on the thread that stored it. Blocks while three are
  /// encoded. Throws: what earlier segments threw, and then drops this one; MediaError.
  void add(const at::Tensor& frames, SegmentNote note, std::function<void()> stored = {});

  /// Returns when all segments are stored. Throws: what one of them threw.
  void finish();

 private:
  VideoWriter& writer_;
  std::unique_ptr<StageThread> thread_;
};

}  // namespace flashblock
