#include "attention/kv_cache.h"

#include <ATen/ops/as_strided.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "core/check.h"
#include "core/error.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#include "attention/kernels/cache_copy.h"
#endif

namespace flashblock {

KvCache::KvCache(const KvCacheLayout& layout, int64_t batch, int64_t heads, int64_t head_dim, at::Device device,
                 at::ScalarType dtype, AttentionPrecision recent)
    : layout_(layout) {
  const int64_t least = layout.frames_per_block + layout.sink_frames;
  if (layout.window_frames < least)
    throw ConfigError("window_frames: " + std::to_string(layout.window_frames) +
                      " latent frames are too few; the window includes the sink (" +
                      std::to_string(layout.sink_frames) + ") and the current block (" +
                      std::to_string(layout.frames_per_block) + "): at least " + std::to_string(least) +
                      ", or -1 for all");
  const auto options = at::TensorOptions().device(device).dtype(dtype);
  const bool native = recent == AttentionPrecision::kNative;
  const int64_t frames = native ? layout.window_frames + layout.bank_frames : ring_slot();
  if (!native) ring_codes_.emplace(ring_frames(), layout.tokens_per_frame, options, batch, heads, head_dim);
  keys_ = at::empty({batch, frames * layout.tokens_per_frame, heads, head_dim}, options);
  values_ = at::empty_like(keys_);
}

KeyRange KvCache::stage(int64_t frames) {
  FB_CHECK(frames > 0 && frames <= layout_.frames_per_block, "frame block of ", frames, " frames, at most ",
           layout_.frames_per_block);
  staged_frames_ = frames;
  return block();
}

// A block shorter than its slot ends where the past begins, so that both stay contiguous.
KeyRange KvCache::block() const { return range(past_slot() - staged_frames_, staged_frames_); }

KeyRange KvCache::block_begin(int64_t frames) const {
  FB_CHECK(frames <= staged_frames_, frames, " frames of a block of ", staged_frames_);
  return range(past_slot() - staged_frames_, frames);
}

KeyRange KvCache::block_end(int64_t frames) const {
  FB_CHECK(frames <= staged_frames_, frames, " frames of a block of ", staged_frames_);
  return range(past_slot() - frames, frames);
}

KeyRange KvCache::past() const { return range(past_slot(), bank_count_ + past_frames_); }
KeyRange KvCache::all() const {
  return range(past_slot() - staged_frames_, staged_frames_ + bank_count_ + past_frames_);
}

int64_t KvCache::past_parts() const {
  if (is_native()) return bank_count_ + past_frames_ > 0 ? 1 : 0;
  const int64_t kept = std::min(past_frames_, layout_.sink_frames), recent = past_frames_ - kept;
  return (bank_count_ + kept > 0 ? 1 : 0) + (recent + kPartFrames - 1) / kPartFrames;
}

KeyRange KvCache::past_part(int64_t index) const {
  FB_CHECK(index >= 0 && index < past_parts(), "part ", index, " of ", past_parts());
  if (is_native()) return past();
  const int64_t kept = std::min(past_frames_, layout_.sink_frames), recent = past_frames_ - kept;
  if (bank_count_ + kept > 0 && index-- == 0) return native_range(past_slot(), bank_count_ + kept);
  return ring_codes_->load(index * kPartFrames, std::min(kPartFrames, recent - index * kPartFrames));
}

KeyRange KvCache::sink() const { return range(sink_slot(), std::min(committed_frames_, layout_.sink_frames)); }

void KvCache::commit(int64_t pinned) {
  FB_CHECK(staged_frames_ > 0, "no frame block is staged");
  FB_CHECK(pinned >= 0 && pinned <= staged_frames_, pinned, " pinned frames of a block of ", staged_frames_);
  const int64_t block_begin = past_slot() - staged_frames_;
  const int64_t first = committed_frames_, end = first + staged_frames_;
  const int64_t to_sink = std::clamp<int64_t>(layout_.sink_frames - first, 0, staged_frames_);
  copy_frames(block_begin, sink_slot() + first, to_sink);
  if (pinned > 0) {
    first_pinned_ = first;
    pinned_frames_ = pinned;
  }
  // Of a block longer than the ring only the last frames are committed.
  for (int64_t frame = std::max(first + to_sink, end - ring_frames()); frame < end;) {
    const int64_t slot = oldest_slot();
    int64_t run = 0;  // consecutive slots of the next frames
    do {
      ring_.resize(std::max<size_t>(ring_.size(), static_cast<size_t>(slot + run + 1)));
      ring_[static_cast<size_t>(slot + run)] = frame + run;
      ++run;
    } while (frame + run < end && oldest_slot() == slot + run);
    copy_frames(block_begin + frame - first, ring_slot() + slot, run);
    frame += run;
  }
  committed_frames_ = end;
  past_frames_ = std::min(committed_frames_, layout_.sink_frames + ring_frames());
  staged_frames_ = 0;
}

// The slot of the ring for the next frame: a free one, else that of the oldest frame that is not pinned.
int64_t KvCache::oldest_slot() const {
  if (std::ssize(ring_) < ring_frames()) return std::ssize(ring_);
  const auto age = [&](int64_t frame) {
    const bool pinned = frame >= first_pinned_ && frame < first_pinned_ + pinned_frames_;
    return pinned ? std::numeric_limits<int64_t>::max() : frame;
  };
  const auto oldest =
      std::min_element(ring_.begin(), ring_.end(), [&](int64_t a, int64_t b) { return age(a) < age(b); });
  return oldest - ring_.begin();
}

KeyRange KvCache::leaving() const {
  const int64_t frames = past_frames_ + staged_frames_ - layout_.sink_frames - ring_frames();
  if (frames <= 0) return range(0, 0);
  const int64_t slot = oldest_slot();
  FB_CHECK(pinned_frames_ == 0 && slot + frames <= ring_frames(), "the ring is no multiple of the frame block");
  return range(ring_slot() + slot, frames);
}

int64_t KvCache::pinned_slot() const { return std::find(ring_.begin(), ring_.end(), first_pinned_) - ring_.begin(); }

KeyRange KvCache::pinned() const {
  if (pinned_frames_ == 0 || pinned_slot() == std::ssize(ring_)) return range(0, 0);
  return range(ring_slot() + pinned_slot(), pinned_frames_);
}

void KvCache::replace_pinned_keys(const at::Tensor& keys) {
  if (ring_codes_)
    ring_codes_->store_keys(pinned_slot(), keys);
  else
    pinned().keys.copy_(keys);
}

KeyRange KvCache::bank() const { return range(past_slot(), bank_count_); }

void KvCache::add_to_bank(const KeyRange& frame) {
  FB_CHECK(bank_count_ < layout_.bank_frames, "the bank is full");
  ++bank_count_;
  const KeyRange place = range(past_slot(), 1);
  place.keys.copy_(frame.keys);
  place.values.copy_(frame.values);
}

void KvCache::commit_end(int64_t frames) {
  FB_CHECK(frames > 0 && frames <= staged_frames_, frames, " frames of a block of ", staged_frames_);
  staged_frames_ = frames;
  commit();
}

void KvCache::evict_all() {
  staged_frames_ = past_frames_ = committed_frames_ = pinned_frames_ = 0;
  ring_.clear();
}

void KvCache::evict_ring() {
  staged_frames_ = pinned_frames_ = 0;
  past_frames_ = committed_frames_ = std::min(committed_frames_, layout_.sink_frames);
  ring_.clear();
}

void KvCache::reset() {
  evict_all();
  bank_count_ = 0;
}

int64_t KvCache::bytes() const {
  return int64_t(keys_.nbytes() + values_.nbytes()) + (ring_codes_ ? ring_codes_->bytes() : 0);
}

KeyRange KvCache::range(int64_t first_frame, int64_t frames) const {
  const int64_t native = is_native() ? frames : std::clamp<int64_t>(ring_slot() - first_frame, 0, frames);
  if (native == frames) return native_range(first_frame, frames);
  const KeyRange recent = ring_codes_->load(first_frame + native - ring_slot(), frames - native);
  if (native == 0) return recent;
  const KeyRange before = native_range(first_frame, native);
  return {at::cat({before.keys, recent.keys}, 1), at::cat({before.values, recent.values}, 1)};
}

KeyRange KvCache::native_range(int64_t first_frame, int64_t frames) const {
  const int64_t start = first_frame * layout_.tokens_per_frame, length = frames * layout_.tokens_per_frame;
  const std::array<int64_t, 4> shape = {keys_.size(0), length, keys_.size(2), keys_.size(3)};
  const auto part = [&](const at::Tensor& x) { return x.as_strided(shape, x.strides(), start * x.stride(1)); };
  return {part(keys_), part(values_)};
}

void KvCache::copy_frames(int64_t from_slot, int64_t to_slot, int64_t frames) {
  if (frames == 0) return;
  if (ring_codes_ && to_slot >= ring_slot()) return ring_codes_->store(to_slot - ring_slot(), range(from_slot, frames));
  const KeyRange from = range(from_slot, frames), to = range(to_slot, frames);
#ifdef FLASHBLOCK_CUDA
  const int64_t token_bytes = keys_.stride(1) * int64_t(keys_.element_size());
  if (keys_.is_cuda() && token_bytes % 16 == 0 && keys_.size(0) <= 65535) {
    const int64_t token_vectors = token_bytes / 16;
    const CacheCopyArguments arguments{
        from.keys.const_data_ptr(),   to.keys.data_ptr(), from.values.const_data_ptr(),
        to.values.data_ptr(),         keys_.size(0),      frames * layout_.tokens_per_frame * token_vectors,
        keys_.size(1) * token_vectors};
    return launch(launch_cache_copy, arguments, keys_, "cache_copy");
  }
#endif
  to.keys.copy_(from.keys);
  to.values.copy_(from.values);
}

}  // namespace flashblock
