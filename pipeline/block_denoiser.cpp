#include "pipeline/block_denoiser.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include <algorithm>

#include "core/check.h"
#include "pipeline/unipc_solver.h"

namespace flashblock {

BlockDenoiser::BlockDenoiser(std::shared_ptr<const VideoTransformer> transformer, const Recipe& recipe,
                             const TransformerStateOptions& options, at::Device device, at::ScalarType dtype,
                             const FrameEncoder& encode_frame)
    : transformer_(std::move(transformer)),
      recipe_(recipe),
      schedule_(recipe.timestep_shift),
      steps_(schedule_steps(recipe, recipe.steps)),
      first_steps_(recipe.first_steps.empty() ? steps_ : schedule_steps(recipe, recipe.first_steps)),
      context_(make_context(options, device, dtype, encode_frame)),
      history_(recipe) {
  if (recipe.guidance_scale == 1.0) return;
  TransformerStateOptions unobserved = options;
  unobserved.observer = nullptr;
  negative_.emplace(make_context(unobserved, device, dtype, encode_frame));
}

BlockDenoiser::Context BlockDenoiser::make_context(const TransformerStateOptions& options, at::Device device,
                                                   at::ScalarType dtype, const FrameEncoder& encode_frame) const {
  Context context{.state = TransformerState(transformer_->config(), options, device, dtype), .rule = nullptr};
  context.rule = recipe_.context_rule->begin(recipe_, context.state, encode_frame);
  return context;
}

template <typename Work>
void BlockDenoiser::for_contexts(const Work& work) {
  work(context_);
  if (negative_) work(*negative_);
}

int64_t BlockDenoiser::state_bytes() const {
  const auto bytes = [](const Context& context) { return context.state.bytes() + context.rule->bytes(); };
  return bytes(context_) + (negative_ ? bytes(*negative_) : 0);
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
  TransformerState& state = context_.state;
  const ContextRule& rule = *recipe_.context_rule;
  const bool recache = recipe_.kv_recache && !history_.blocks().empty() && !rule.encodes_frames();
  const bool keeps_sink = rule.accumulates() && state.evicted_frames() > 0;
  if (recache) keeps_sink ? state.evict_window() : state.evict_all();
  transformer_->set_prompt(state, embedding);
  if (!recache) return;
  for (const ContextBlock& block : history_.blocks()) {
    if (block.start_frame < state.next_frame()) continue;  // in a sink that stays
    transformer_->forward(block.latents, block.timestep, block.start_frame, Pass::clean(), state);
  }
}

void BlockDenoiser::set_negative_prompt(const at::Tensor& embedding) {
  FB_CHECK(negative_, "a negative prompt without guidance");
  transformer_->set_prompt(negative_->state, embedding);
}

void BlockDenoiser::begin_shot() {
  for_contexts([](Context& context) { context.state.begin_shot(); });
}

void BlockDenoiser::begin_block(const FrameBlock& block) {
  for_contexts([&](Context& context) { context.rule->begin_block(block, {*transformer_, context.state}); });
}

int64_t BlockDenoiser::steps_of(const FrameBlock& block) const {
  if (recipe_.unipc_steps > 0) return recipe_.unipc_steps;
  // The first block, without past, may have a different step list.
  return static_cast<int64_t>((block.start_frame == 0 ? first_steps_ : steps_).size());
}

at::Tensor BlockDenoiser::denoise(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop) {
  begin_block(block);
  return run_passes(block, noise, stop, steps_of(block));
}

at::Tensor BlockDenoiser::run_passes(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop,
                                     int64_t passes) {
  for_contexts([&](Context& context) {
    context.position = context.rule->prepare(block, {*transformer_, context.state});
  });
  return recipe_.unipc_steps > 0 ? denoise_unipc(block, noise, stop, passes)
                                 : denoise_few_steps(block, noise, stop, passes);
}

at::Tensor BlockDenoiser::with_first_frames(const at::Tensor& x_t, const FrameBlock& block) const {
  if (!first_frames_.defined() || block.start_frame > 0) return x_t;
  const int64_t given = first_frames_.size(1);
  return at::cat({first_frames_.to(x_t.options()), x_t.narrow(1, given, x_t.size(1) - given)}, 1);
}

at::Tensor BlockDenoiser::denoise_few_steps(const FrameBlock& block, const NoiseSource& noise,
                                            const std::stop_token& stop, int64_t passes) {
  const std::vector<Step>& steps = block.start_frame == 0 ? first_steps_ : steps_;
  at::Tensor x_t = with_first_frames(draw(block, noise, 0), block);
  for (size_t i = 0; !stopped(stop); ++i) {
    const at::Tensor x0 =
        with_first_frames(x0_from_flow(x_t, flow(x_t, steps[i].timestep, block, i), steps[i].sigma), block);
    if (i + 1 == static_cast<size_t>(passes)) return x0;
    x_t = with_first_frames(add_noise(x0, draw(block, noise, static_cast<int64_t>(i) + 1), steps[i + 1].sigma), block);
  }
  return {};
}

at::Tensor BlockDenoiser::denoise_unipc(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop,
                                        int64_t passes) {
  UniPcSolver solver(recipe_.unipc_steps, recipe_.timestep_shift);
  at::Tensor x_t = with_first_frames(draw(block, noise, 0), block);
  const std::vector<int64_t>& timesteps = solver.timesteps();
  for (size_t i = 0; i < static_cast<size_t>(passes); ++i) {
    if (stopped(stop)) return {};
    x_t = with_first_frames(solver.step(flow(x_t, static_cast<double>(timesteps[i]), block, i), x_t), block);
  }
  return x_t;
}

at::Tensor BlockDenoiser::flow(const at::Tensor& x_t, double timestep, const FrameBlock& block, size_t step_index) {
  std::vector<double> times(static_cast<size_t>(block.frames), timestep);
  if (first_frames_.defined() && block.start_frame == 0) std::fill_n(times.begin(), first_frames_.size(1), 0.0);
  const FrameTimes frame_times(std::move(times));
  const auto run = [&](Context& context) {
    return transformer_->forward(x_t, frame_times, context.position, Pass::denoise(static_cast<int64_t>(step_index)),
                                 context.state);
  };
  const at::Tensor with_prompt = run(context_);
  if (!negative_) return with_prompt;
  const at::Tensor without = run(*negative_);
  return without + (with_prompt - without) * recipe_.guidance_scale;
}

at::Tensor BlockDenoiser::draw(const FrameBlock& block, const NoiseSource& noise, int64_t number) const {
  const TransformerState& state = context_.state;
  const VideoGeometry& geometry = state.options().geometry;
  at::Tensor drawn = noise.noise(
      block.index, number,
      {1, block.frames, transformer_->config().in_channels, geometry.latent_height(), geometry.latent_width()});
  if (!state.device().is_cpu()) drawn = drawn.pin_memory();  // so that the copy does not block the host
  return drawn.to(state.device(), state.dtype(), /*non_blocking=*/true);
}

int64_t BlockDenoiser::draws_of(const FrameBlock& block) const { return recipe_.unipc_steps > 0 ? 1 : steps_of(block); }

void BlockDenoiser::draw_all(const FrameBlock& block, const NoiseSource& noise) const {
  for (int64_t number = 0; number < draws_of(block); ++number) draw(block, noise, number);
}

void BlockDenoiser::add(const FrameBlock& block, const at::Tensor& latents, double timestep) {
  for_contexts([&](Context& context) { context.rule->add(block, latents, timestep, {*transformer_, context.state}); });
  BlockDenoiser::commit(latents, block.start_frame, timestep);
}

void BlockDenoiser::clean_pass(const FrameBlock& block, const at::Tensor& latents, double timestep) {
  add(block, latents, timestep);
}

void BlockDenoiser::commit(const at::Tensor& latents, int64_t start_frame, double timestep) {
  history_.add({.start_frame = start_frame, .latents = latents, .timestep = timestep});
}

void BlockDenoiser::replay(const FrameBlock& block, const at::Tensor& latents, double timestep,
                           const NoiseSource& noise) {
  begin_block(block);
  const bool given = block.index < 0 || recipe_.context_rule->encodes_frames();
  const int64_t passes = given ? 0 : passes_before_clean(context_.state.options().attention, steps_of(block));
  if (passes > 0) run_passes(block, noise, {}, passes);
  add(block, latents, timestep);
}

}  // namespace flashblock
