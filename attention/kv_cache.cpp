#include "attention/kv_cache.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <string>

#include "core/check.h"
#include "core/error.h"

namespace flashblock {

KvCache::KvCache(const KvCacheLayout& layout, int64_t batch, int64_t heads, int64_t head_dim, at::Device device,
                 at::ScalarType dtype)
    : layout_(layout) {
  const int64_t least = layout.frames_per_block + layout.sink_frames;
  if (layout.window_frames < least)
    throw ConfigError("window_frames: " + std::to_string(layout.window_frames) +
                      " latent frames are too few; the window includes the sink (" +
                      std::to_string(layout.sink_frames) + ") and the current block (" +
                      std::to_string(layout.frames_per_block) + "): at least " + std::to_string(least) +
                      ", or -1 for all");
  const auto options = at::TensorOptions().device(device).dtype(dtype);
  keys_ = at::empty({batch, layout.window_frames * layout.tokens_per_frame, heads, head_dim}, options);
  values_ = at::empty_like(keys_);
}

KeyRange KvCache::stage(int64_t frames) {
  FB_CHECK(frames > 0 && frames <= layout_.frames_per_block, "frame block of ", frames, " frames, at most ",
           layout_.frames_per_block);
  staged_frames_ = frames;
  return block();
}

// A block shorter than its slot ends where the sink begins, so that both stay contiguous.
KeyRange KvCache::block() const { return range(layout_.frames_per_block - staged_frames_, staged_frames_); }

KeyRange KvCache::block_begin(int64_t frames) const {
  FB_CHECK(frames <= staged_frames_, frames, " frames of a block of ", staged_frames_);
  return range(layout_.frames_per_block - staged_frames_, frames);
}

KeyRange KvCache::block_end(int64_t frames) const {
  FB_CHECK(frames <= staged_frames_, frames, " frames of a block of ", staged_frames_);
  return range(layout_.frames_per_block - frames, frames);
}

KeyRange KvCache::past() const { return range(layout_.frames_per_block, past_frames_); }
KeyRange KvCache::all() const {
  return range(layout_.frames_per_block - staged_frames_, staged_frames_ + past_frames_);
}

KeyRange KvCache::sink() const {
  return range(layout_.frames_per_block, std::min(committed_frames_, layout_.sink_frames));
}

void KvCache::commit() {
  FB_CHECK(staged_frames_ > 0, "no frame block is staged");
  const int64_t ring_begin = layout_.frames_per_block + layout_.sink_frames;
  const int64_t block_begin = layout_.frames_per_block - staged_frames_;
  const int64_t first = committed_frames_, end = first + staged_frames_;
  const int64_t to_sink = std::clamp<int64_t>(layout_.sink_frames - first, 0, staged_frames_);
  copy_frames(block_begin, layout_.frames_per_block + first, to_sink);
  // Of a block longer than the ring only the last frames are committed.
  for (int64_t frame = std::max(first + to_sink, end - ring_frames()); frame < end;) {
    const int64_t slot = (frame - layout_.sink_frames) % ring_frames();
    const int64_t run = std::min(end - frame, ring_frames() - slot);
    copy_frames(block_begin + frame - first, ring_begin + slot, run);
    frame += run;
  }
  committed_frames_ = end;
  past_frames_ = std::min(committed_frames_, layout_.sink_frames + ring_frames());
  staged_frames_ = 0;
}

void KvCache::commit_end(int64_t frames) {
  FB_CHECK(frames > 0 && frames <= staged_frames_, frames, " frames of a block of ", staged_frames_);
  staged_frames_ = frames;
  commit();
}

void KvCache::reset() { staged_frames_ = past_frames_ = committed_frames_ = 0; }

int64_t KvCache::bytes() const { return int64_t(keys_.nbytes() + values_.nbytes()); }

KeyRange KvCache::range(int64_t first_frame, int64_t frames) const {
  const int64_t start = first_frame * layout_.tokens_per_frame, length = frames * layout_.tokens_per_frame;
  return {keys_.narrow(1, start, length), values_.narrow(1, start, length)};
}

void KvCache::copy_frames(int64_t from_slot, int64_t to_slot, int64_t frames) {
  if (frames == 0) return;
  const KeyRange from = range(from_slot, frames), to = range(to_slot, frames);
  to.keys.copy_(from.keys);
  to.values.copy_(from.values);
}

}  // namespace flashblock
