// State of one video in the transformer: KV cache, cached external attention, text, position in time.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "attention/attention_config.h"
#include "attention/attention_observer.h"
#include "attention/block_attention.h"
#include "attention/cross_attention_cache.h"
#include "attention/kv_cache.h"
#include "attention/rope.h"
#include "models/model_config.h"
#include "models/modulation.h"
#include "models/token_split.h"
#include "models/video_geometry.h"

namespace flashblock {

/// Rows of the published rotary table, in latent frames. Source: Self-Forcing `wan/modules/model.py`,
/// rope_params(1024).
inline constexpr int64_t kRopePositions = 1024;

/// Sizes of the video that a transformer state is for.
struct TransformerStateOptions {
  VideoGeometry geometry;
  int64_t frames_per_block = 3;  ///< latent frames, the longest frame block
  int64_t window_frames = -1;    ///< latent frames attended to, the current block included; -1: all
  int64_t sink_frames = 0;       ///< first latent frames, never evicted, counted in the window
  int64_t max_frames = 0;        ///< latent frames of the longest video; bounds the memory of a cache without window
  /// Positions in time that the model was trained for: sink and current block are never further apart (place_sink).
  int64_t position_frames = kRopePositions;
  /// Latent frames that the beginning of a shot adds to all later positions; 0: the video is one shot (begin_shot).
  int64_t shot_offset_frames = 0;
  int64_t bank_frames = 0;  ///< latent frames in a bank besides the window (KvCacheLayout)
  int64_t batch = 1;
  std::shared_ptr<const ProcessGroup> group;  ///< processes that compute the video together; null: this one alone
  AttentionConfig attention;
  AttentionObserver* observer = nullptr;  ///< of all layers, for analyses; outlives the state
};

/// Work done on a video, for tests and reports.
struct TransformerCounters {
  int64_t passes = 0;
  int64_t external_computed = 0;  ///< attentions over earlier blocks computed, counted per layer and head
  int64_t external_reused = 0;    ///< the same, reused from an earlier pass of the block
};

/// Keys of frames that follow the video, as they are at the frames' own positions.
struct MovedKeys {
  at::Tensor keys;    ///< [B, S, N, D]; undefined: they have not moved
  int64_t shift = 0;  ///< latent frames that they have moved by
};

/// Caches of one layer.
struct LayerState {
  KvCache kv;
  LayerExternal external;
  CrossAttentionCache text;             ///< of the denoising passes
  CrossAttentionCache clean_text = {};  ///< of the clean pass, where it has weights of its own
  MovedKeys sink = {}, pinned = {};     ///< see place_past
  at::Tensor sink_values = {};          ///< [B, S, N, D] fp32, of a sink that replace_sink has replaced
};

/// State of one video on one device; of several processes each has that of its own heads. Owned by the session; mutated
/// by VideoTransformer::forward. Not thread-safe.
class TransformerState {
 public:
  /// Throws: ConfigError for a window smaller than block plus sink, a sink without a window, or no frames.
  TransformerState(const TransformerConfig& config, const TransformerStateOptions& options, at::Device device,
                   at::ScalarType dtype);

  /// Starts a new video: drops all frames and resets the counters; keeps the text.
  void reset();

  /// Evicts all frames but those of the bank, so that the context can be recomputed; the counters continue.
  void evict_all();
  /// The same, and the sink stays.
  void evict_window();

  /// The next frame block begins a shot: shot_offset_frames are added to its position and all later ones, and its first
  /// frames, as many as the sink has, are pinned when it is committed: they stay until those of the next shot.
  /// Source: LongLive 2 `wan_5b/modules/causal_model.py`, multi_shot_rope_offset and multi_shot_sink.
  void begin_shot();

  /// Called for each layer whenever a frame block is committed, before it is. Clean passes that recompute the context
  /// are among them.
  using BeforeCommit = std::function<void(TransformerState&, int64_t layer)>;
  void before_commit(BeforeCommit call) { before_commit_ = std::move(call); }

  /// Replaces the sink of a layer. Shape: keys, at the frames' own positions, and values [B, S, N, D] fp32.
  void replace_sink(int64_t layer, const at::Tensor& keys, const at::Tensor& values);
  /// The sink of a layer, keys at the frames' own positions, fp32: as replaced, else as committed.
  KeyRange original_sink(int64_t layer) const;
  /// Keys rotated at some position, moved `frames` later in time, or earlier. Shape: [B, S, N, D].
  at::Tensor moved(const at::Tensor& keys, int64_t frames) const { return apply_rope(keys, rope_.shift(frames)); }

  /// Sets the attention from the next frame block on. Requires: no pass over it yet; the same kv_cache.
  void set_attention(const AttentionConfig& attention) { options_.attention = attention; }

  const TransformerStateOptions& options() const { return options_; }
  at::Device device() const { return device_; }
  at::ScalarType dtype() const { return dtype_; }
  int64_t next_frame() const { return next_frame_; }  ///< first latent frame that is not committed
  bool has_prompt() const { return layers_.front().text.keys.defined(); }
  TransformerCounters counters() const;
  /// Frames before next_frame() that the next frame block cannot attend to.
  int64_t evicted_frames() const { return next_frame_ - layers_.front().kv.past_frames(); }
  /// Memory of keys, values and external states, in bytes. Does not grow with a windowed video.
  int64_t bytes() const;

  // For VideoTransformer.
  LayerState& layer(int64_t index) { return layers_[static_cast<size_t>(index)]; }
  const LayerState& layer(int64_t index) const { return layers_[static_cast<size_t>(index)]; }
  /// This process's tokens and heads.
  const TokenSplit& split() const { return split_; }
  /// Rotation of this process's tokens of frames of the video.
  const Rotation& rotation(int64_t start_frame, int64_t frames);
  /// Keeps sink and pinned frames within reach of a frame block that ends at `end_frame`. They keep their own positions
  /// until the block's last frame would be more than position_frames - 1 after the first of them; from then on they
  /// move along with the video, at that distance. All other distances are those of the video: rotations are computed
  /// for every frame, and attention depends on differences of positions only. See docs/kv_cache.md.
  void place_past(int64_t end_frame);
  void count_pass() { ++passes_; }
  /// By times, of which a schedule has few.
  std::map<FrameTimes, Modulation>& modulations() { return modulations_; }
  /// Those of the clean pass, where it has weights of its own.
  std::map<FrameTimes, Modulation>& clean_modulations() { return clean_modulations_; }

  /// Commits the staged keys and values of all layers and clears their cached external attention; the video continues
  /// at `next_frame`.
  void commit(int64_t next_frame);

 private:
  TransformerStateOptions options_;
  at::Device device_;
  at::ScalarType dtype_;
  TokenSplit split_;
  RopeTable rope_;
  std::vector<LayerState> layers_;
  /// Moves frames in the cache that are at `position` by themselves.
  void place(int64_t position, int64_t end, KeyRange (KvCache::*frames)() const,
             void (KvCache::*replace)(const at::Tensor& keys), MovedKeys LayerState::*moved);
  void evict(void (KvCache::*evict)());

  int64_t passes_ = 0;
  int64_t next_frame_ = 0;
  int64_t shot_offset_ = 0;       // of all shots so far
  bool shot_begins_ = false;      // with the next block
  int64_t pinned_position_ = -1;  // of the pinned frames; -1: none
  BeforeCommit before_commit_;
  std::map<FrameTimes, Modulation> modulations_, clean_modulations_;
  Rotation rotation_;  // of the current frame block
  int64_t rotation_start_ = -1;
  int64_t rotation_frames_ = 0;
};

}  // namespace flashblock
