// State of one text in a language model: KV cache, cached external attention, position, counters.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "attention/attention_config.h"
#include "attention/attention_observer.h"
#include "attention/block_attention.h"
#include "attention/kv_cache.h"
#include "attention/rope.h"
#include "language/language_config.h"

namespace flashblock {

/// Tokens of a prompt that go through the model in one call, at most; a block, if that is longer.
inline constexpr int64_t kPrefillTokens = 512;

/// The attention of texts unless asked otherwise: as that of videos, but states that are reused stay as they are.
inline AttentionConfig text_attention() { return {.correction = AttentionConfig::Correction::kNone}; }

/// Sizes of the text that a state is for.
struct LanguageStateOptions {
  int64_t max_tokens = 0;  ///< of the longest text, prompt included; bounds the memory
  int64_t block_size = 4;  ///< tokens decoded together
  int64_t prefill_tokens = kPrefillTokens;
  int64_t batch = 1;  ///< texts of equal length that are decoded in step
  AttentionConfig attention = text_attention();
  int64_t reuse_from = 0;  ///< committed tokens from which `attention` counts; over fewer, attention is exact
  AttentionObserver* observer = nullptr;  ///< of all layers, for analyses; outlives the state
};

/// Work done on a text since the prefill, for tests and reports.
struct LanguageCounters {
  int64_t passes = 0;             ///< calls of the model; a fused pass is one
  int64_t external_computed = 0;  ///< attentions over earlier blocks computed, counted per layer, pass and KV head
  int64_t external_reused = 0;    ///< the same, reused from an earlier pass of the block
  int64_t weight_bytes = 0;       ///< of weights read: all but the embedding table
  int64_t cache_bytes = 0;  ///< of cached keys and values read; policies that decide by head count as if they read all
};

/// Caches of one layer.
struct LanguageLayerState {
  KvCache kv;
  LayerExternal external;
};

/// State of one text, or of a batch, on one device. Owned by the caller; mutated by LanguageModel. Not thread-safe.
class LanguageState {
 public:
  /// Throws: ConfigError for an attention that is out of range.
  LanguageState(const LanguageConfig& config, const LanguageStateOptions& options, at::Device device,
                at::ScalarType dtype);

  /// Starts a new text: drops all tokens and resets the counters.
  void reset();

  /// Tells the refresh policy that these places of the block were decoded before the next pass over it.
  void count_decoded(const std::vector<int64_t>& places);

  const LanguageStateOptions& options() const { return options_; }
  /// Of a pass over the committed tokens: that of the options, or exact.
  const AttentionConfig& attention() const { return tokens_ < options_.reuse_from ? exact_ : options_.attention; }
  at::Device device() const { return device_; }
  at::ScalarType dtype() const { return dtype_; }
  int64_t tokens() const { return tokens_; }  ///< committed
  LanguageCounters counters() const;
  int64_t bytes() const;  ///< memory of keys, values and external states
  /// The places of the block whose external attention the last pass computed: all, or the rows that it recomputed.
  const std::vector<bool>& computed_places() const { return computed_places_; }
  KeyRange committed(int64_t layer) const { return layers_[static_cast<size_t>(layer)].kv.past(); }

  // For LanguageModel.
  LanguageLayerState& layer(int64_t index) { return layers_[static_cast<size_t>(index)]; }
  Rotation rotation(int64_t start, int64_t tokens) const { return rope_.rotation(start, tokens); }
  /// Completes `pass` by what was decoded, and prepares the layers for it.
  Pass begin_pass(Pass pass, int64_t tokens);
  /// Counts a pass that `begin_pass` began, and what it read. `fused_refreshed`: of a fused pass, whether its clean
  /// pass refreshed the external attention; its other half, which reads the past in any case, is not counted.
  void end_pass(int64_t weight_bytes, std::optional<bool> fused_refreshed = {});
  void count_head(int64_t bytes) { counters_.weight_bytes += bytes; }
  void commit(int64_t tokens);  ///< the last `tokens` staged ones, and drops the cached external attention
  void clear_counters();

 private:
  int64_t past_bytes() const;

  LanguageStateOptions options_;
  AttentionConfig exact_;
  at::Device device_;
  at::ScalarType dtype_;
  TextRopeTable rope_;
  int64_t group_;
  std::vector<LanguageLayerState> layers_;
  int64_t tokens_ = 0;
  std::vector<int64_t> decoded_;  // places of the block, since its external attention was last refreshed
  std::vector<bool> computed_places_;
  LanguageCounters counters_;
};

}  // namespace flashblock
