#include "language/language_state.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "attention/refresh_policy.h"

namespace flashblock {
namespace {

// Rows of the grouped queries of these places.
at::Tensor rows_of(const std::vector<int64_t>& places, int64_t group, at::Device device) {
  const at::Tensor first = at::tensor(places, at::kLong).mul_(group).unsqueeze(1);
  return (first + at::arange(group, at::kLong)).flatten().to(device);
}

}  // namespace

LanguageState::LanguageState(const LanguageConfig& config, const LanguageStateOptions& options, at::Device device,
                             at::ScalarType dtype)
    : options_(options),
      exact_(options.attention),
      device_(device),
      dtype_(dtype),
      // The rows of a fused pass end one block behind the last one.
      rope_(config.head_dim, options.max_tokens + 2 * options.block_size, config.rope_base, device),
      group_(config.group()) {
  validate(options.attention);
  exact_.mode = AttentionConfig::Mode::kExact;
  const int64_t staged = std::max(options.prefill_tokens, 2 * options.block_size);
  const KvCacheLayout layout{.tokens_per_frame = 1,
                             .frames_per_block = staged,
                             .window_frames = staged + options.max_tokens + options.block_size};
  for (int64_t i = 0; i < config.layers; ++i) {
    layers_.push_back({KvCache(layout, options.batch, config.kv_heads, config.head_dim, device, dtype),
                       {.layer = i, .observer = options.observer, .mean_key_per_query = true}});
  }
}

void LanguageState::reset() {
  for (LanguageLayerState& layer : layers_) {
    layer.kv.reset();
    layer.external.cache.clear();
    layer.external.changed_rows = at::Tensor();
  }
  tokens_ = 0;
  decoded_.clear();
  clear_counters();
}

void LanguageState::clear_counters() {
  counters_ = {};
  for (LanguageLayerState& layer : layers_) layer.external.work = {};
}

void LanguageState::count_decoded(const std::vector<int64_t>& places) {
  decoded_.insert(decoded_.end(), places.begin(), places.end());
}

Pass LanguageState::begin_pass(Pass pass, int64_t tokens) {
  pass.decoded_tokens = static_cast<int64_t>(decoded_.size());
  at::Tensor rows;
  const bool reuses = attention().mode == AttentionConfig::Mode::kFlashblock;
  if (reuses && attention().recompute_decoded_rows && !decoded_.empty()) rows = rows_of(decoded_, group_, device_);
  for (LanguageLayerState& layer : layers_) layer.external.changed_rows = rows;
  computed_places_.assign(static_cast<size_t>(tokens), false);
  return pass;
}

void LanguageState::end_pass(int64_t weight_bytes, std::optional<bool> fused_refreshed) {
  const LayerExternal& external = layers_.front().external;
  const bool exact = attention().mode == AttentionConfig::Mode::kExact;
  const bool refreshed =
      fused_refreshed ? *fused_refreshed : exact || external.cache.empty() || external.cache.age() <= 1;
  computed_places_.assign(computed_places_.size(), refreshed);
  if (refreshed)
    decoded_.clear();
  else if (options_.attention.recompute_decoded_rows)
    for (const int64_t place : decoded_) computed_places_[static_cast<size_t>(place)] = true;
  const bool reads_past =
      refreshed || fused_refreshed || external.changed_rows.defined() || options_.attention.refresh->decides_by_head();
  counters_.passes += 1;
  counters_.weight_bytes += weight_bytes;
  if (reads_past) counters_.cache_bytes += past_bytes();
}

void LanguageState::commit(int64_t tokens) {
  for (LanguageLayerState& layer : layers_) {
    layer.kv.commit_end(tokens);
    layer.external.cache.clear();
  }
  tokens_ += tokens;
  decoded_.clear();
}

LanguageCounters LanguageState::counters() const {
  LanguageCounters counters = counters_;
  for (const LanguageLayerState& layer : layers_) {
    counters.external_computed += layer.external.work.computed();
    counters.external_reused += layer.external.work.reused();
  }
  return counters;
}

int64_t LanguageState::bytes() const {
  int64_t bytes = 0;
  for (const LanguageLayerState& layer : layers_) bytes += layer.kv.bytes() + layer.external.cache.bytes();
  return bytes;
}

int64_t LanguageState::past_bytes() const {
  const KeyRange past = layers_.front().kv.past();
  return static_cast<int64_t>(layers_.size() * (past.keys.nbytes() + past.values.nbytes()));
}

}  // namespace flashblock
