#include "models/transformer_state.h"

#include <algorithm>
#include <string>

#include "core/check.h"
#include "core/error.h"

namespace flashblock {
namespace {

TransformerStateOptions checked(TransformerStateOptions options) {
  options.geometry.validate();
  const auto refuse = [](const std::string& message) { throw ConfigError(message); };
  if (options.frames_per_block < 1) refuse("frames_per_block: must be at least 1");
  if (options.sink_frames < 0) refuse("sink_frames: must be at least 0");
  if (options.max_frames < 1) refuse("max_frames: the video has no latent frames");
  if (options.position_frames < 1) refuse("position_frames: must be at least 1");
  if (options.shot_offset_frames < 0 || options.bank_frames < 0) refuse("shot_offset_frames, bank_frames: at least 0");
  if (options.window_frames < 0 && options.window_frames != -1)
    refuse("window_frames: " + std::to_string(options.window_frames) +
           " is not a number of latent frames; -1 means all");
  return options;
}

// A window larger than the video, and no window, both end with the video's last frame block.
int64_t cached_frames(const TransformerStateOptions& options) {
  const int64_t block = options.frames_per_block;
  const int64_t whole = (options.max_frames + block - 1) / block * block;
  return options.window_frames == -1 ? std::max(whole, block + options.sink_frames)
                                     : std::min(options.window_frames, std::max(whole, block + options.sink_frames));
}

/// Positions in time of the longest video: each frame block may begin a shot.
int64_t positions(const TransformerStateOptions& options) {
  return options.max_frames + options.max_frames / options.frames_per_block * options.shot_offset_frames;
}

}  // namespace

TransformerState::TransformerState(const TransformerConfig& config, const TransformerStateOptions& options,
                                   at::Device device, at::ScalarType dtype)
    : options_(checked(options)),
      device_(device),
      dtype_(dtype),
      split_(options.group, options.geometry.tokens_per_frame(), config.heads),
      rope_(config.head_dim(), positions(options), options.geometry.token_rows(), options.geometry.token_columns(),
            device) {
  const KvCacheLayout layout{.tokens_per_frame = options.geometry.tokens_per_frame(),
                             .frames_per_block = options.frames_per_block,
                             .window_frames = cached_frames(options),
                             .sink_frames = options.sink_frames,
                             .bank_frames = options.bank_frames};
  layers_.reserve(size_t(config.layers));
  for (int64_t i = 0; i < config.layers; ++i) {
    layers_.push_back(
        {KvCache(layout, options.batch, split_.head_count(), config.head_dim(), device, dtype,
                 options.attention.kv_cache),
         {.layer = i, .share = {.first = split_.first_head(), .group = split_.group()}, .observer = options.observer},
         {}});
  }
}

void TransformerState::reset() {
  evict(&KvCache::reset);
  for (LayerState& layer : layers_) layer.external.work = {};
  shot_offset_ = 0;
  shot_begins_ = false;
  passes_ = 0;
}

void TransformerState::evict_all() { evict(&KvCache::evict_all); }
void TransformerState::evict_window() { evict(&KvCache::evict_ring); }

void TransformerState::evict(void (KvCache::*evict)()) {
  const bool keeps_sink = evict == &KvCache::evict_ring;
  for (LayerState& layer : layers_) {
    (layer.kv.*evict)();
    layer.external.cache.clear();
    layer.pinned = {};
    if (keeps_sink) continue;
    layer.sink = {};
    layer.sink_values.reset();
  }
  pinned_position_ = -1;
  next_frame_ = keeps_sink ? layers_.front().kv.past_frames() : 0;
}

void TransformerState::begin_shot() {
  shot_offset_ += options_.shot_offset_frames;
  shot_begins_ = true;
}

KeyRange TransformerState::original_sink(int64_t index) const {
  const LayerState& layer = this->layer(index);
  const KeyRange sink = layer.kv.sink();
  return {(layer.sink.keys.defined() ? layer.sink.keys : sink.keys).to(at::kFloat),
          layer.sink_values.defined() ? layer.sink_values : sink.values.to(at::kFloat)};
}

void TransformerState::replace_sink(int64_t index, const at::Tensor& keys, const at::Tensor& values) {
  LayerState& layer = this->layer(index);
  const KeyRange sink = layer.kv.sink();
  layer.sink.keys = keys;
  layer.sink_values = values;
  sink.keys.copy_(moved(keys, layer.sink.shift));
  sink.values.copy_(values);
}

TransformerCounters TransformerState::counters() const {
  TransformerCounters counters{.passes = passes_};
  for (const LayerState& layer : layers_) {
    counters.external_computed += layer.external.work.computed();
    counters.external_reused += layer.external.work.reused();
  }
  return counters;
}

int64_t TransformerState::bytes() const {
  int64_t bytes = 0;
  for (const LayerState& layer : layers_) {
    bytes += layer.kv.bytes() + layer.external.cache.bytes();
    for (const at::Tensor& kept : {layer.sink.keys, layer.pinned.keys, layer.sink_values})
      if (kept.defined()) bytes += static_cast<int64_t>(kept.nbytes());
  }
  return bytes;
}

const Rotation& TransformerState::rotation(int64_t start_frame, int64_t frames) {
  const int64_t start = start_frame + shot_offset_;
  if (start != rotation_start_ || frames != rotation_frames_) {
    rotation_ = split_.own_tokens(rope_.rotation(start, frames));
    rotation_start_ = start;
    rotation_frames_ = frames;
  }
  return rotation_;
}

void TransformerState::place_past(int64_t end_frame) {
  if (options_.window_frames == -1) return;
  const int64_t end = end_frame + shot_offset_;
  if (options_.sink_frames > 0) place(0, end, &KvCache::sink, &KvCache::replace_sink_keys, &LayerState::sink);
  if (pinned_position_ >= 0)
    place(pinned_position_, end, &KvCache::pinned, &KvCache::replace_pinned_keys, &LayerState::pinned);
}

// Rotates from a copy of the original keys each time, so that rounding errors do not accumulate.
void TransformerState::place(int64_t position, int64_t end, KeyRange (KvCache::*frames)() const,
                             void (KvCache::*replace)(const at::Tensor& keys), MovedKeys LayerState::*moved_keys) {
  const int64_t reach = std::max(options_.position_frames, options_.window_frames);
  const int64_t shift = std::max<int64_t>(0, end - position - reach);
  if (shift == (layers_.front().*moved_keys).shift) return;
  const Rotation rotation = rope_.shift(shift);
  for (LayerState& layer : layers_) {
    MovedKeys& moved = layer.*moved_keys;
    FB_CHECK(layer.kv.committed_frames() >= options_.sink_frames, "a sink that is not full cannot be moved");
    if (!moved.keys.defined()) moved.keys = (layer.kv.*frames)().keys.clone();
    (layer.kv.*replace)(apply_rope(moved.keys, rotation));
    moved.shift = shift;
  }
}

void TransformerState::commit(int64_t next_frame) {
  const int64_t pinned = shot_begins_ ? std::min(options_.sink_frames, next_frame - next_frame_) : 0;
  for (size_t i = 0; i < layers_.size(); ++i) {
    LayerState& layer = layers_[i];
    if (before_commit_) before_commit_(*this, static_cast<int64_t>(i));
    layer.kv.commit(pinned);
    layer.external.cache.clear();
    if (pinned > 0) layer.pinned = {};
  }
  if (pinned > 0) pinned_position_ = next_frame_ + shot_offset_;
  shot_begins_ = false;
  next_frame_ = next_frame;
}

}  // namespace flashblock
