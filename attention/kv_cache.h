// Keys and values of the frames that one layer attends to: the frame block being denoised, sink and recent frames.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "attention/attention_config.h"
#include "attention/key_range.h"
#include "attention/quantised_frames.h"

namespace flashblock {

/// Sizes of a key/value cache. Frames are latent frames.
struct KvCacheLayout {
  int64_t tokens_per_frame = 0;
  int64_t frames_per_block = 0;  ///< longest frame block
  int64_t window_frames = 0;     ///< frames attended to: sink, recent, and the current block; at least block + sink
  int64_t sink_frames = 0;       ///< first frames committed, never evicted
  int64_t bank_frames = 0;       ///< frames besides the window, put in and replaced by the owner
};

/// Cache of one layer. Every pass over a frame block stages it and overwrites its keys and values; the clean pass
/// commits it, once.
///
/// Layout, in frames:  [ staged block | bank | sink | ring of recent frames ]  so that the block, the past, and both
/// together are one contiguous range each. A commit copies the block into sink and ring, over the oldest frames of the
/// ring that are not pinned; nothing else is moved or cloned. A bank that is not full lies directly before the sink.
/// With `recent` in 8 bits the ring is QuantisedFrames: what is read of it is converted, in new memory, each time.
/// See docs/kv_cache.md.
class KvCache {
 public:
  /// `recent`: how the ring is kept. Throws: ConfigError unless window_frames >= frames_per_block + sink_frames.
  KvCache(const KvCacheLayout& layout, int64_t batch, int64_t heads, int64_t head_dim, at::Device device,
          at::ScalarType dtype, AttentionPrecision recent = AttentionPrecision::kNative);

  /// Opens the slot of the current frame block, of at most frames_per_block frames; the caller writes into the views.
  /// A pass over the same block stages it again and overwrites it.
  KeyRange stage(int64_t frames);

  KeyRange block() const;                      ///< the staged block: the internal keys
  KeyRange block_begin(int64_t frames) const;  ///< the first `frames` frames of the staged block
  KeyRange block_end(int64_t frames) const;    ///< its last `frames` frames
  KeyRange past() const;  ///< bank, sink and recent frames: the external keys; empty for the first block
  KeyRange all() const;   ///< both
  KeyRange sink() const;  ///< the sink frames committed so far

  /// The past in parts of at most kPartFrames frames, so that not all of it need be converted at once. A ring in the
  /// dtype makes one part, without a copy.
  static constexpr int64_t kPartFrames = 18;
  int64_t past_parts() const;
  KeyRange past_part(int64_t index) const;
  /// Whether all() and past() are views.
  bool is_native() const { return !ring_codes_; }

  /// Writes other keys for frames that keep their values. Shape: that of the keys of sink() or pinned().
  void replace_sink_keys(const at::Tensor& keys) { sink().keys.copy_(keys); }
  void replace_pinned_keys(const at::Tensor& keys);

  /// Makes the staged block part of the past, evicting the oldest frames of the ring where room is needed. Its first
  /// `pinned` frames are pinned in place of those that were: they stay in the ring, if it has room for others, until
  /// other frames are pinned.
  void commit(int64_t pinned = 0);

  /// The frames of the ring that committing the staged block evicts, oldest first; empty while the ring has room.
  /// Requires: a ring of whole blocks, without pinned frames.
  KeyRange leaving() const;
  /// The pinned frames; empty: none.
  KeyRange pinned() const;

  /// The frames in the bank: a view of [B, bank_count frames, N, D], the latest one added first.
  KeyRange bank() const;
  int64_t bank_count() const { return bank_count_; }
  /// Adds a frame to a bank that is not full. Requires: no block is staged that is still needed.
  void add_to_bank(const KeyRange& frame);

  /// Makes the last `frames` frames of the staged block part of the past, and drops its other frames.
  void commit_end(int64_t frames);

  /// Drops sink and ring; the bank stays.
  void evict_all();
  /// Drops the ring; sink and bank stay.
  void evict_ring();
  /// Drops all frames.
  void reset();

  int64_t tokens_per_frame() const { return layout_.tokens_per_frame; }
  int64_t past_frames() const { return past_frames_; }
  int64_t committed_frames() const { return committed_frames_; }
  int64_t evicted_frames() const { return committed_frames_ - past_frames_; }
  int64_t bytes() const;

 private:
  int64_t ring_frames() const { return layout_.window_frames - layout_.frames_per_block - layout_.sink_frames; }
  int64_t sink_slot() const { return layout_.frames_per_block + layout_.bank_frames; }
  int64_t past_slot() const { return sink_slot() - bank_count_; }  // where the staged block ends
  int64_t oldest_slot() const;
  int64_t pinned_slot() const;  // of the ring
  /// Slots are counted from the staged block on, those of the ring last.
  int64_t ring_slot() const { return sink_slot() + layout_.sink_frames; }
  KeyRange range(int64_t first_frame, int64_t frames) const;
  KeyRange native_range(int64_t first_frame, int64_t frames) const;
  void copy_frames(int64_t from_slot, int64_t to_slot, int64_t frames);

  KvCacheLayout layout_;
  at::Tensor keys_;    // [B, window and bank tokens, N, D]; without the ring if that is in 8 bits
  at::Tensor values_;  // the same
  std::optional<QuantisedFrames> ring_codes_;
  int64_t staged_frames_ = 0;     // of the current block; ends where the past begins
  int64_t past_frames_ = 0;       // frames in sink and ring
  int64_t committed_frames_ = 0;  // frames since the last eviction of all
  int64_t bank_count_ = 0;
  std::vector<int64_t> ring_;                     // by slot of the ring: the frame in it, counted as committed
  int64_t first_pinned_ = 0, pinned_frames_ = 0;  // counted as in ring_
};

/// External keys in parts: those of a cache, each converted when it is asked for, or a range.
class KeyParts {
 public:
  KeyParts(KeyRange range) : range_(std::move(range)) {}
  /// The past of `cache`, which outlives this.
  explicit KeyParts(const KvCache& cache) : cache_(&cache) {}

  int64_t count() const { return cache_ ? cache_->past_parts() : range_.empty() ? 0 : 1; }
  KeyRange part(int64_t index) const { return cache_ ? cache_->past_part(index) : range_; }
  /// All of them at once.
  KeyRange whole() const { return cache_ ? cache_->past() : range_; }
  bool empty() const { return count() == 0; }

 private:
  const KvCache* cache_ = nullptr;
  KeyRange range_;
};

}  // namespace flashblock
