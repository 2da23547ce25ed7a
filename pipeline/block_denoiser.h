// From noise to the latents of one frame block, and what the next blocks know of it.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "models/transformer_state.h"
#include "models/video_transformer.h"
#include "pipeline/context_history.h"
#include "pipeline/flow_schedule.h"
#include "pipeline/frame_block.h"
#include "pipeline/noise_source.h"
#include "pipeline/recipe.h"

namespace flashblock {

/// Denoises the frame blocks of one film, one after another.
/// Source: Self-Forcing `pipeline/causal_inference.py`, `CausalInferencePipeline.inference`; with `unipc_steps`,
/// `pipeline/causal_diffusion_inference.py`.
class BlockDenoiser {
 public:
  /// `options` are those of the transformer's state; the recipe's block, window and sink are already in it.
  /// Requires: a shape of latents [1, F, C, H, W] for all blocks.
  BlockDenoiser(std::shared_ptr<const VideoTransformer> transformer, const Recipe& recipe,
                const TransformerStateOptions& options, at::Device device, at::ScalarType dtype);

  /// The prompt from the next block on. In mid-film the window and the sink are put through the transformer again under
  /// the new prompt: their keys and values carry the old one. Shape: `embedding` [1, L, C].
  /// Source: LongLive (arXiv 2509.22622), section 3.2, KV recache.
  void set_prompt(const at::Tensor& embedding);

  /// What guidance leads away from. Requires: before the first block, and only if the recipe has guidance.
  void set_negative_prompt(const at::Tensor& embedding);

  /// Shape: returns [1, F, C, H, W] in the transformer's dtype and on its device; undefined if `stop` was requested
  /// between two passes.
  at::Tensor denoise(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop = {});

  /// The clean pass: later blocks attend to these latents. `timestep` is the noise level the transformer is told.
  /// Shape: `latents` [1, F, C, H, W].
  void remember(const at::Tensor& latents, int64_t start_frame, double timestep);

  /// State of the prompt's own context; guidance has a second one of the same size.
  const TransformerState& state() const { return state_; }
  int64_t state_bytes() const { return state_.bytes() + (negative_ ? negative_->bytes() : 0); }

 private:
  struct Step {
    double timestep;
    float sigma;
  };

  std::vector<Step> schedule_steps(const Recipe& recipe, const std::vector<double>& steps) const;
  at::Tensor draw(const FrameBlock& block, const NoiseSource& noise, int64_t number) const;
  at::Tensor flow(const at::Tensor& x_t, double timestep, const FrameBlock& block, size_t step_index);
  at::Tensor denoise_few_steps(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop);
  at::Tensor denoise_unipc(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop);

  std::shared_ptr<const VideoTransformer> transformer_;
  Recipe recipe_;
  FlowSchedule schedule_;
  std::vector<Step> steps_, first_steps_;
  TransformerState state_;
  std::optional<TransformerState> negative_;
  ContextHistory history_;
};

}  // namespace flashblock
