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

}  // namespace

TransformerState::TransformerState(const TransformerConfig& config, const TransformerStateOptions& options,
                                   at::Device device, at::ScalarType dtype)
    : options_(checked(options)),
      device_(device),
      dtype_(dtype),
      rope_(config.head_dim(), options.max_frames, options.geometry.token_rows(), options.geometry.token_columns(),
            device) {
  const KvCacheLayout layout{options.geometry.tokens_per_frame(), options.frames_per_block, cached_frames(options),
                             options.sink_frames};
  layers_.reserve(size_t(config.layers));
  for (int64_t i = 0; i < config.layers; ++i) {
    layers_.push_back({KvCache(layout, options.batch, config.heads, config.head_dim(), device, dtype),
                       {.layer = i, .observer = options.observer},
                       {}});
  }
}

void TransformerState::reset() {
  evict_all();
  for (LayerState& layer : layers_) layer.external.work = {};
  passes_ = 0;
}

void TransformerState::evict_all() {
  for (LayerState& layer : layers_) {
    layer.kv.reset();
    layer.external.cache.clear();
    layer.sink_keys.reset();
  }
  next_frame_ = 0;
  sink_shift_ = 0;
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
    if (layer.sink_keys.defined()) bytes += static_cast<int64_t>(layer.sink_keys.nbytes());
  }
  return bytes;
}

const Rotation& TransformerState::rotation(int64_t start_frame, int64_t frames) {
  if (start_frame != rotation_start_ || frames != rotation_frames_) {
    rotation_ = rope_.rotation(start_frame, frames);
    rotation_start_ = start_frame;
    rotation_frames_ = frames;
  }
  return rotation_;
}

// Rotates from a copy of the original keys each time, so that rounding errors do not accumulate.
void TransformerState::place_sink(int64_t end_frame) {
  if (options_.window_frames == -1 || options_.sink_frames == 0) return;
  const int64_t reach = std::max(options_.position_frames, options_.window_frames);
  const int64_t shift = std::max<int64_t>(0, end_frame - reach);
  if (shift == sink_shift_) return;
  FB_CHECK(layers_.front().kv.committed_frames() >= options_.sink_frames, "a sink that is not full cannot be moved");
  const Rotation rotation = rope_.shift(shift);
  for (LayerState& layer : layers_) {
    const at::Tensor keys = layer.kv.sink().keys;
    if (!layer.sink_keys.defined()) layer.sink_keys = keys.clone();
    keys.copy_(apply_rope(layer.sink_keys, rotation));
  }
  sink_shift_ = shift;
}

void TransformerState::commit(int64_t next_frame) {
  for (LayerState& layer : layers_) {
    layer.kv.commit();
    layer.external.cache.clear();
  }
  next_frame_ = next_frame;
}

}  // namespace flashblock
