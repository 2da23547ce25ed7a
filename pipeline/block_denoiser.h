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

/// Denoises the frame blocks of one video, one after another.
/// Source: Self-Forcing `pipeline/causal_inference.py`, `CausalInferencePipeline.inference`; with `unipc_steps`,
/// `pipeline/causal_diffusion_inference.py`.
class BlockDenoiser {
 public:
  /// `options` are those of the transformer's state; the recipe's block, window and sink are already in it.
  /// Requires: a shape of latents [1, F, C, H, W] for all blocks.
  BlockDenoiser(std::shared_ptr<const VideoTransformer> transformer, const Recipe& recipe,
                const TransformerStateOptions& options, at::Device device, at::ScalarType dtype);

  /// The prompt from the next block on. In mid-video, with the recipe's kv_recache, the window and the sink are put
  /// through the transformer again under the new prompt: their keys and values carry the old one.
  /// Shape: `embedding` [1, L, C].
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

  /// Puts a finished block back into the context, bit for bit as denoise() and remember() left it there: the clean
  /// pass, and before it those denoising passes whose external attention it takes over (passes_before_clean).
  /// `block.index` is -1 in the given start.
  void recall(const FrameBlock& block, const at::Tensor& latents, double timestep, const NoiseSource& noise);

  /// Takes note of a finished block for the next change of the prompt. With kv_recache that makes the context anew, so
  /// that before it recall() is needed only with guidance, whose other context knows no prompt.
  void note(const at::Tensor& latents, int64_t start_frame, double timestep);

  /// Takes the noise that denoise() takes for a block, for a source that writes down what it draws.
  void draw_all(const FrameBlock& block, const NoiseSource& noise) const;

  /// State of the prompt's own context; guidance has a second one of the same size.
  const TransformerState& state() const { return state_; }
  int64_t state_bytes() const { return state_.bytes() + (negative_ ? negative_->bytes() : 0); }

 private:
  struct Step {
    double timestep;
    float sigma;
  };

  /// Denoising steps of the block.
  int64_t steps_of(const FrameBlock& block) const;
  std::vector<Step> schedule_steps(const Recipe& recipe, const std::vector<double>& steps) const;
  at::Tensor draw(const FrameBlock& block, const NoiseSource& noise, int64_t number) const;
  at::Tensor flow(const at::Tensor& x_t, double timestep, const FrameBlock& block, size_t step_index);
  /// The first `passes` denoising passes; returns the latents if these are all, otherwise nothing of use.
  at::Tensor denoise_few_steps(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop,
                               int64_t passes);
  at::Tensor denoise_unipc(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop,
                           int64_t passes);

  std::shared_ptr<const VideoTransformer> transformer_;
  Recipe recipe_;
  FlowSchedule schedule_;
  std::vector<Step> steps_, first_steps_;
  TransformerState state_;
  std::optional<TransformerState> negative_;
  ContextHistory history_;
};

}  // namespace flashblock
