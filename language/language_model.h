// The block-diffusion language model: what stands at the masked places of a block, behind all blocks before it.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>

#include "attention/attention_config.h"
#include "language/language_config.h"
#include "language/language_state.h"
#include "language/language_weights.h"
#include "weights/layer_provider.h"

namespace flashblock {

class WeightStore;

/// Immutable weights and the forward passes; shared by any number of texts, each with its own state. A token sees its
/// own block whole and all blocks before it; position i of the logits is token i, nothing is shifted.
/// Thread safety: const members may run concurrently on different states; with streamed layers they wait for each
/// other. Numerics: with bf16 weights every operator rounds to bf16 as in the published model; norms, rotation, softmax
/// and accumulation are fp32 inside. Source: JetAstra/SDAR `modeling_sdar.py`.
class LanguageModel {
 public:
  /// With LayerPlacement::kStreamed results are the same, with less memory of the device.
  /// Throws: WeightsError listing all missing, mis-shaped and unexpected tensors.
  static std::shared_ptr<const LanguageModel> load(std::shared_ptr<const WeightStore> weights,
                                                   const LanguageConfig& config, at::Device device,
                                                   at::ScalarType dtype,
                                                   LayerPlacement placement = LayerPlacement::kResident);
  ~LanguageModel();

  const LanguageConfig& config() const { return config_; }
  at::Device device() const { return ends_.embedding.device(); }
  at::ScalarType dtype() const { return ends_.embedding.scalar_type(); }

  /// A state for this model, on its device and in its dtype.
  LanguageState make_state(const LanguageStateOptions& options) const;

  // Ids are [B, L] int64 on any device; hidden states [B, L, width] are those behind the last norm, for logits().

  /// What a call returns besides its effect on the state.
  enum class Output { kNone, kHidden };

  /// Commits whole blocks of a prompt, under the block-causal mask, in calls of at most prefill_tokens. Returns all
  /// hidden states, or, which saves most of the last layer, none. Does not count as passes.
  at::Tensor prefill(LanguageState& state, const at::Tensor& ids, Output output = Output::kNone) const;

  /// One pass over the next block. Stores nothing but what reuse caches. Returns hidden states.
  at::Tensor pass(LanguageState& state, const at::Tensor& ids, const Pass& pass) const;

  /// Commits the finished block. Returns hidden states or, by default, none.
  at::Tensor clean_pass(LanguageState& state, const at::Tensor& ids, Output output = Output::kNone) const;

  /// clean_pass over `finished` and the first pass over `next`, the block behind it, in one call that reads weights and
  /// past once: equal up to rounding. Returns the hidden states of `next`. Requires: no observer.
  at::Tensor fused_pass(LanguageState& state, const at::Tensor& finished, const at::Tensor& next) const;

  /// Shape: hidden [..., width]; returns [..., vocabulary] in the model's dtype. Counts the bytes of the head in
  /// `state`.
  at::Tensor logits(LanguageState& state, const at::Tensor& hidden) const;

 private:
  LanguageModel(const LanguageConfig& config, LanguageEnds ends, std::unique_ptr<LayerProvider<LanguageLayer>> layers,
                int64_t layer_bytes);

  /// A pass over one block, which stays uncommitted.
  at::Tensor run_pass(LanguageState& state, const at::Tensor& ids, const Pass& kind, Output output) const;

  LanguageConfig config_;
  LanguageEnds ends_;
  std::unique_ptr<LayerProvider<LanguageLayer>> layers_;
  int64_t layer_bytes_;  // of all layers
};

}  // namespace flashblock
