// The block-causal Wan video transformer: predicts the flow of one frame block, attending to the blocks before it.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>

#include "attention/attention_config.h"
#include "models/layer_provider.h"
#include "models/model_config.h"
#include "models/transformer_state.h"
#include "models/transformer_weights.h"

namespace flashblock {

class WeightStore;

/// Immutable weights and the forward pass; any number of videos, each with its own state, may share it.
/// Thread safety: const members may run concurrently on different states; streamed layers make them take turns.
/// Numerics: with bf16 weights every operator rounds to bf16 as in the published inference (residual stream included);
/// norms, softmax and accumulation are fp32 inside.
/// Source: Self-Forcing `wan/modules/causal_model.py`.
class VideoTransformer {
 public:
  /// Throws: WeightsError listing all missing, mis-shaped and unexpected tensors.
  static std::shared_ptr<const VideoTransformer> load(const WeightStore& weights, const TransformerConfig& config,
                                                      at::Device device, at::ScalarType dtype);
  /// The same model, with LayerPlacement::kStreamed: all numbers are the same, less memory of the device is taken.
  static std::shared_ptr<const VideoTransformer> stream(std::shared_ptr<const WeightStore> weights,
                                                        const TransformerConfig& config, at::Device device,
                                                        at::ScalarType dtype);
  ~VideoTransformer();

  const TransformerConfig& config() const { return config_; }

  /// Computes the text's keys and values of every layer; valid until the next call. Resets no frames.
  /// Shape: text_embedding [B, L, text_dim], L <= text_len, any dtype and device; rows missing to text_len are zero.
  void set_prompt(TransformerState& state, const at::Tensor& text_embedding) const;

  /// Runs the transformer over the next frame block.
  ///
  /// A denoising pass returns the predicted flow (noise - x0), [B, F, C, H, W], in the model's dtype. The clean pass,
  /// with timestep 0 and the finished latents, commits the block's keys and values and returns an undefined tensor.
  /// Shape: latents [B, F, C, H, W], any dtype, on the model's device; F <= frames_per_block of the state.
  /// Requires: set_prompt before; start_frame >= state.next_frame(). Frames may be left out, as when the past is run
  /// again for a new prompt, sink first, then the window: positions follow start_frame, the cache the order of commits.
  at::Tensor forward(const at::Tensor& latents, double timestep, int64_t start_frame, Pass pass,
                     TransformerState& state) const;

 private:
  VideoTransformer(const TransformerConfig& config, TransformerEnds ends, std::unique_ptr<LayerProvider> layers);
  Modulation make_modulation(double timestep) const;
  const Modulation& modulation(double timestep, TransformerState& state) const;

  TransformerConfig config_;
  TransformerEnds ends_;
  std::unique_ptr<LayerProvider> layers_;
};

}  // namespace flashblock
