#include "pipeline/block_denoiser.h"

#include <ATen/TensorOperators.h>

#include "core/check.h"
#include "pipeline/unipc_solver.h"

namespace flashblock {

BlockDenoiser::BlockDenoiser(std::shared_ptr<const VideoTransformer> transformer, const Recipe& recipe,
                             const TransformerStateOptions& options, at::Device device, at::ScalarType dtype)
    : transformer_(std::move(transformer)),
      recipe_(recipe),
      schedule_(recipe.timestep_shift),
      steps_(schedule_steps(recipe, recipe.steps)),
      first_steps_(recipe.first_steps.empty() ? steps_ : schedule_steps(recipe, recipe.first_steps)),
      state_(transformer_->config(), options, device, dtype),
      history_(recipe) {
  if (recipe.guidance_scale == 1.0) return;
  TransformerStateOptions unobserved = options;
  unobserved.observer = nullptr;
  negative_.emplace(transformer_->config(), unobserved, device, dtype);
}

std::vector<BlockDenoiser::Step> BlockDenoiser::schedule_steps(const Recipe& recipe,
                                                               const std::vector<double>& steps) const {
  std::vector<Step> result;
  for (const double timestep : recipe.warp_steps ? schedule_.warped(steps) : steps) {
    result.push_back({.timestep = timestep, .sigma = schedule_.sigma_at(timestep)});
  }
  return result;
}

void BlockDenoiser::set_prompt(const at::Tensor& embedding) {
  const bool recache = recipe_.kv_recache && !history_.blocks().empty();
  if (recache) state_.evict_all();
  transformer_->set_prompt(state_, embedding);
  if (!recache) return;
  for (const ContextBlock& block : history_.blocks()) {
    transformer_->forward(block.latents, block.timestep, block.start_frame, Pass::clean(), state_);
  }
}

void BlockDenoiser::set_negative_prompt(const at::Tensor& embedding) {
  FB_CHECK(negative_, "a negative prompt without guidance");
  transformer_->set_prompt(*negative_, embedding);
}

int64_t BlockDenoiser::steps_of(const FrameBlock& block) const {
  if (recipe_.unipc_steps > 0) return recipe_.unipc_steps;
  // The first block, without past, may have a different step list.
  return static_cast<int64_t>((block.start_frame == 0 ? first_steps_ : steps_).size());
}

at::Tensor BlockDenoiser::denoise(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop) {
  return recipe_.unipc_steps > 0 ? denoise_unipc(block, noise, stop, steps_of(block))
                                 : denoise_few_steps(block, noise, stop, steps_of(block));
}

at::Tensor BlockDenoiser::denoise_few_steps(const FrameBlock& block, const NoiseSource& noise,
                                            const std::stop_token& stop, int64_t passes) {
  const std::vector<Step>& steps = block.start_frame == 0 ? first_steps_ : steps_;
  at::Tensor x_t = draw(block, noise, 0);
  for (size_t i = 0; !stop.stop_requested(); ++i) {
    const at::Tensor x0 = x0_from_flow(x_t, flow(x_t, steps[i].timestep, block, i), steps[i].sigma);
    if (i + 1 == static_cast<size_t>(passes)) return x0;
    x_t = add_noise(x0, draw(block, noise, static_cast<int64_t>(i) + 1), steps[i + 1].sigma);
  }
  return {};
}

at::Tensor BlockDenoiser::denoise_unipc(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop,
                                        int64_t passes) {
  UniPcSolver solver(recipe_.unipc_steps, recipe_.timestep_shift);
  at::Tensor x_t = draw(block, noise, 0);
  const std::vector<int64_t>& timesteps = solver.timesteps();
  for (size_t i = 0; i < static_cast<size_t>(passes); ++i) {
    if (stop.stop_requested()) return {};
    x_t = solver.step(flow(x_t, static_cast<double>(timesteps[i]), block, i), x_t);
  }
  return x_t;
}

at::Tensor BlockDenoiser::flow(const at::Tensor& x_t, double timestep, const FrameBlock& block, size_t step_index) {
  const Pass pass = Pass::denoise(static_cast<int64_t>(step_index));
  const at::Tensor with_prompt = transformer_->forward(x_t, timestep, block.start_frame, pass, state_);
  if (!negative_) return with_prompt;
  const at::Tensor without = transformer_->forward(x_t, timestep, block.start_frame, pass, *negative_);
  return without + (with_prompt - without) * recipe_.guidance_scale;
}

at::Tensor BlockDenoiser::draw(const FrameBlock& block, const NoiseSource& noise, int64_t number) const {
  const VideoGeometry& geometry = state_.options().geometry;
  at::Tensor drawn = noise.noise(
      block.index, number,
      {1, block.frames, transformer_->config().in_channels, geometry.latent_height(), geometry.latent_width()});
  if (!state_.device().is_cpu()) drawn = drawn.pin_memory();  // so that the copy does not block the host
  return drawn.to(state_.device(), state_.dtype(), /*non_blocking=*/true);
}

void BlockDenoiser::draw_all(const FrameBlock& block, const NoiseSource& noise) const {
  const int64_t draws = recipe_.unipc_steps > 0 ? 1 : steps_of(block);
  for (int64_t number = 0; number < draws; ++number) draw(block, noise, number);
}

void BlockDenoiser::clean_pass(const at::Tensor& latents, int64_t start_frame, double timestep) {
  transformer_->forward(latents, timestep, start_frame, Pass::clean(), state_);
  if (negative_) transformer_->forward(latents, timestep, start_frame, Pass::clean(), *negative_);
  commit(latents, start_frame, timestep);
}

void BlockDenoiser::commit(const at::Tensor& latents, int64_t start_frame, double timestep) {
  history_.add({.start_frame = start_frame, .latents = latents, .timestep = timestep});
}

void BlockDenoiser::replay(const FrameBlock& block, const at::Tensor& latents, double timestep,
                           const NoiseSource& noise) {
  const int64_t passes = block.index < 0 ? 0 : passes_before_clean(state_.options().attention, steps_of(block));
  if (passes > 0 && recipe_.unipc_steps > 0) denoise_unipc(block, noise, {}, passes);
  if (passes > 0 && recipe_.unipc_steps == 0) denoise_few_steps(block, noise, {}, passes);
  clean_pass(latents, block.start_frame, timestep);
}

}  // namespace flashblock
