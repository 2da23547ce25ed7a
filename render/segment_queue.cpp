#include "render/segment_queue.h"

#include <utility>

namespace flashblock {

SegmentQueue::SegmentQueue(VideoWriter& writer, Overlap overlap) : writer_(writer) {
  if (overlap == Overlap::kOn) thread_ = std::make_unique<StageThread>();
}

SegmentQueue::~SegmentQueue() = default;

void SegmentQueue::add(const at::Tensor& frames, SegmentNote note, std::function<void()> stored) {
  if (!thread_) {
    writer_.write(frames, std::move(note));
    if (stored) stored();
    return;
  }
  // Three at a time: one that the thread waits for, one that waits for the thread, and one whose put() blocks.
  const auto segment = std::make_shared<EncodingSegment>(writer_.encode(frames, std::move(note)));
  thread_->put([this, segment, stored = std::move(stored)] {
    writer_.store(std::move(*segment));
    if (stored) stored();
  });
}

void SegmentQueue::finish() {
  if (thread_) thread_->finish();
}

}  // namespace flashblock
