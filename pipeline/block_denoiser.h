// Denoises frame blocks, and keeps the context that later blocks attend to.
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
#include "pipeline/context_rule.h"
#include "pipeline/flow_schedule.h"
#include "pipeline/frame_block.h"
#include "pipeline/noise_source.h"
#include "pipeline/recipe.h"

namespace flashblock {

/// Denoises the frame blocks of one video, one after another. Its members are virtual for processes that do it
/// together (pipeline/denoiser_group.h).
/// Source: Self-Forcing `pipeline/causal_inference.py`, `CausalInferencePipeline.inference`; with `unipc_steps`,
/// `pipeline/causal_diffusion_inference.py`.
class BlockDenoiser {
 public:
  /// `options`: of the transformer's state, as state_options gives them. `encode_frame`: for context rules that encode
  /// frames.
  BlockDenoiser(std::shared_ptr<const VideoTransformer> transformer, const Recipe& recipe,
                const TransformerStateOptions& options, at::Device device, at::ScalarType dtype,
                const FrameEncoder& encode_frame = {});
  virtual ~BlockDenoiser() = default;
  BlockDenoiser(const BlockDenoiser&) = delete;
  BlockDenoiser& operator=(const BlockDenoiser&) = delete;

  /// Sets the prompt from the next block on. In mid-video, with the recipe's kv_recache, clean passes over sink and
  /// window recompute their keys and values under the new prompt; those in the cache carry the old one. A sink that has
  /// accumulated others stays (ContextRule::accumulates). Shape: `embedding` [1, L, C].
  /// Source: LongLive (arXiv 2509.22622), section 3.2, KV recache.
  virtual void set_prompt(const at::Tensor& embedding);

  /// The first frames of the first block, which are given: they are at time 0 in all its passes.
  /// Shape: `latents` [1, F, C, H, W], F below the block's. Requires: called before the first block.
  virtual void set_first_frames(at::Tensor latents) { first_frames_ = std::move(latents); }

  /// The next block begins a shot: TransformerState::begin_shot.
  virtual void begin_shot();

  /// Sets the negative prompt of guidance. Requires: called before the first block; the recipe has guidance.
  virtual void set_negative_prompt(const at::Tensor& embedding);

  /// Denoises one block. Shape: returns [1, F, C, H, W] in the transformer's dtype and on its device; undefined if
  /// `stop` was requested between two passes.
  virtual at::Tensor denoise(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop = {});

  /// The clean pass at `timestep`: writes the block's keys and values, which later blocks attend to, and commits the
  /// block; or what the context rule does in its place. Shape: `latents` [1, F, C, H, W].
  virtual void clean_pass(const FrameBlock& block, const at::Tensor& latents, double timestep);

  /// Rebuilds the context of a finished block with the same bits as denoise() and clean_pass(): runs the clean pass,
  /// and before it those denoising passes whose external attention it reuses (passes_before_clean).
  /// `block.index` is -1 in the given start.
  virtual void replay(const FrameBlock& block, const at::Tensor& latents, double timestep, const NoiseSource& noise);

  /// Adds a finished block to the history without a clean pass. Enough for blocks before a prompt change with
  /// kv_recache, which recomputes the context; the negative prompt's context is not recomputed and needs replay().
  virtual void commit(const at::Tensor& latents, int64_t start_frame, double timestep);

  /// Draws the noise that denoise() draws for a block, for a source that records its draws.
  void draw_all(const FrameBlock& block, const NoiseSource& noise) const;

  /// Context of the prompt; guidance has a second one of the same size, of the negative prompt.
  const TransformerState& state() const { return context_.state; }
  int64_t state_bytes() const;

 protected:
  /// How often denoise() draws noise for the block.
  int64_t draws_of(const FrameBlock& block) const;
  /// Asked before each pass.
  virtual bool stopped(const std::stop_token& stop) const { return stop.stop_requested(); }

 private:
  struct Step {
    double timestep;
    float sigma;
  };
  struct Context {
    TransformerState state;
    std::unique_ptr<VideoContext> rule;
    int64_t position = 0;  ///< in time, of the current block's first frame
  };

  void add(const FrameBlock& block, const at::Tensor& latents, double timestep);
  Context make_context(const TransformerStateOptions& options, at::Device device, at::ScalarType dtype,
                       const FrameEncoder& encode_frame) const;
  /// Calls `work` for both contexts.
  template <typename Work>
  void for_contexts(const Work& work);
  void begin_block(const FrameBlock& block);
  /// Prepares the contexts, then runs the first `passes` denoising passes: as denoise_few_steps.
  at::Tensor run_passes(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop, int64_t passes);
  /// `x_t` with the frames that are given in this block.
  at::Tensor with_first_frames(const at::Tensor& x_t, const FrameBlock& block) const;

  /// Number of denoising steps of the block.
  int64_t steps_of(const FrameBlock& block) const;
  std::vector<Step> schedule_steps(const Recipe& recipe, const std::vector<double>& steps) const;
  at::Tensor draw(const FrameBlock& block, const NoiseSource& noise, int64_t number) const;
  at::Tensor flow(const at::Tensor& x_t, double timestep, const FrameBlock& block, size_t step_index);
  /// The first `passes` denoising passes. Returns the latents if these are all of them, otherwise unspecified.
  at::Tensor denoise_few_steps(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop,
                               int64_t passes);
  at::Tensor denoise_unipc(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop,
                           int64_t passes);

  std::shared_ptr<const VideoTransformer> transformer_;
  Recipe recipe_;
  FlowSchedule schedule_;
  std::vector<Step> steps_, first_steps_;
  Context context_;
  std::optional<Context> negative_;
  ContextHistory history_;
  at::Tensor first_frames_;  ///< [1, F, C, H, W] or undefined
};

}  // namespace flashblock
