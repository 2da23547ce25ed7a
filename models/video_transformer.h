// The block-causal Wan video transformer: predicts the flow of one frame block, which attends to earlier frame blocks.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <optional>

#include "attention/attention_config.h"
#include "models/model_config.h"
#include "models/transformer_state.h"
#include "models/transformer_weights.h"
#include "weights/layer_provider.h"

namespace flashblock {

class WeightStore;

/// Immutable weights and the forward pass; shared by any number of videos, each with its own state.
/// Thread safety: const members may run concurrently on different states; with streamed layers they wait for each
/// other. Numerics: with bf16 weights every operator rounds to bf16 as in the published inference (residual stream
/// included); norms, softmax and accumulation are fp32 internally. Source: Self-Forcing `wan/modules/causal_model.py`.
class VideoTransformer {
 public:
  /// `linears`: arithmetic of the layers' linears, whose weights are converted as they are loaded. Samples are taken
  /// from resident layers only.
  /// Throws: WeightsError listing all missing, mis-shaped and unexpected tensors.
  static std::shared_ptr<const VideoTransformer> load(const WeightStore& weights, const TransformerConfig& config,
                                                      at::Device device, at::ScalarType dtype,
                                                      const LinearOptions& linears = {});
  /// The same with LayerPlacement::kStreamed: identical results, less device memory.
  static std::shared_ptr<const VideoTransformer> stream(std::shared_ptr<const WeightStore> weights,
                                                        const TransformerConfig& config, at::Device device,
                                                        at::ScalarType dtype, const LinearOptions& linears = {});
  ~VideoTransformer();

  const TransformerConfig& config() const { return config_; }

  /// Computes every layer's keys and values of the text, used until the next call. Does not reset any frames.
  /// Shape: text_embedding [B, L, text_dim], L <= text_len, any dtype and device; padded with zeros to text_len.
  void set_prompt(TransformerState& state, const at::Tensor& text_embedding) const;

  /// Runs the transformer over the next frame block.
  ///
  /// A denoising pass returns the predicted flow (noise - x0), [B, F, C, H, W], in the model's dtype. The clean pass,
  /// on the finished latents, commits the block's keys and values and returns an undefined tensor. It uses the weights
  /// of its own where the model has some. Shape: latents [B, F, C, H, W], any dtype, on the model's device; F <=
  /// frames_per_block of the state; one time, or F. Requires: a prompt; start_frame >= state.next_frame(). Frames may
  /// be skipped, as when the context is recomputed for a new prompt (sink first, then the window): positions follow
  /// start_frame, the cache follows the order of commits.
  at::Tensor forward(const at::Tensor& latents, const FrameTimes& times, int64_t start_frame, Pass pass,
                     TransformerState& state) const;

 private:
  enum class WeightSet { kDenoising, kCleanPass };
  /// One set of weights.
  struct Network {
    TransformerEnds ends;
    std::unique_ptr<LayerProvider<LayerWeights>> layers;
  };

  VideoTransformer(const TransformerConfig& config, Network network, std::optional<Network> clean_network);
  static Network load_network(const WeightStore& weights, const TransformerConfig& config, at::Device device,
                              at::ScalarType dtype, const LinearOptions& linears, WeightSet set);
  static Network stream_network(const std::shared_ptr<const WeightStore>& weights, const TransformerConfig& config,
                                at::Device device, at::ScalarType dtype, const LinearOptions& linears, WeightSet set);
  void set_text(const Network& network, TransformerState& state, CrossAttentionCache LayerState::*text,
                const at::Tensor& padded) const;
  Modulation make_modulation(const Network& network, const FrameTimes& times) const;

  TransformerConfig config_;
  Network network_;
  std::optional<Network> clean_network_;  ///< of the clean pass; none: the same
};

}  // namespace flashblock
