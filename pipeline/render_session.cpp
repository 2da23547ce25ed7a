#include "pipeline/render_session.h"

#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <string>

#include "core/check.h"
#include "core/error.h"
#include "media/frame_conversion.h"
#include "pipeline/block_denoiser.h"

namespace flashblock {
namespace {

using Lane = RenderLine::Lane;

void check_prompt(const EncodedPrompt& prompt, const TransformerConfig& config) {
  const at::Tensor& embedding = prompt.embedding;
  if (embedding.dim() == 3 && embedding.size(2) == config.text_dim && embedding.size(1) <= config.text_len) return;
  throw ConfigError("a text embedding of shape " + c10::str(embedding.sizes()) +
                    " does not fit the model, which takes [1, " + std::to_string(config.text_len) + ", " +
                    std::to_string(config.text_dim) + "]: text encoder and transformer must belong together");
}

void check_inputs(const VideoPlan& plan, const SessionInputs& inputs, const TransformerConfig& config,
                  const VideoGeometry& geometry) {
  FB_CHECK(!inputs.prompts.empty() && inputs.prompts.front().first_block == 0, "no prompt for the first block");
  FB_CHECK(inputs.noise);
  for (const EncodedPrompt& prompt : inputs.prompts) check_prompt(prompt, config);
  if (plan.initial_frames == 0) return;
  const std::vector<int64_t> wanted = {1, plan.initial_frames, config.in_channels, geometry.latent_height(),
                                       geometry.latent_width()};
  if (inputs.initial_latents.sizes() != wanted) {
    throw ConfigError("initial latents of shape " + c10::str(inputs.initial_latents.sizes()) +
                      " do not fit the video, which needs " + c10::str(at::IntArrayRef(wanted)));
  }
}

/// The planned prompt that takes effect at a block in mid-video, if any.
const EncodedPrompt* planned_change(const SessionInputs& inputs, int64_t block) {
  if (block <= 0) return nullptr;
  const auto found = std::find_if(inputs.prompts.begin(), inputs.prompts.end(),
                                  [&](const EncodedPrompt& prompt) { return prompt.first_block == block; });
  return found == inputs.prompts.end() ? nullptr : &*found;
}

}  // namespace

RenderSession::RenderSession(std::shared_ptr<const VideoTransformer> transformer,
                             std::shared_ptr<LatentDecoder> decoder, const SessionOptions& options, Profile& profile)
    : transformer_(std::move(transformer)),
      decoder_(std::move(decoder)),
      options_(options),
      profile_(profile),
      line_(options.line ? options.line : std::make_shared<RenderLine>(options.device)) {}

BlockDenoiser RenderSession::make_denoiser(const VideoPlan& plan, const SessionInputs& inputs,
                                           const at::Tensor& first_prompt) const {
  const Recipe& recipe = options_.recipe;
  const TransformerStateOptions state{.geometry = options_.geometry,
                                      .frames_per_block = recipe.frames_per_block,
                                      .window_frames = recipe.window_frames,
                                      .sink_frames = recipe.sink_frames,
                                      .max_frames = plan.latent_frames(),
                                      .position_frames = recipe.position_frames,
                                      .attention = options_.attention,
                                      .observer = options_.observer};
  BlockDenoiser denoiser(transformer_, recipe, state, options_.device, options_.dtype);
  denoiser.set_prompt(first_prompt);
  if (recipe.guidance_scale != 1.0) denoiser.set_negative_prompt(inputs.negative_embedding);
  return denoiser;
}

at::Tensor RenderSession::live_prompt(int64_t index, const SessionInputs& inputs,
                                      std::vector<LivePrompt>& taken) const {
  if (!inputs.live || index < 0) return {};
  const auto prompt = inputs.live->at_block(index);
  if (!prompt) return {};
  check_prompt(prompt->encoded, transformer_->config());
  return taken.emplace_back(*prompt).encoded.embedding;
}

at::Tensor RenderSession::change_at(int64_t index, const SessionInputs& inputs, std::vector<LivePrompt>& taken) const {
  if (index <= 0) return {};
  if (const at::Tensor live = live_prompt(index, inputs, taken); live.defined()) return live;
  const EncodedPrompt* planned = planned_change(inputs, index);
  return planned ? planned->embedding : at::Tensor();
}

SessionResult RenderSession::render(const VideoPlan& plan, const SessionInputs& inputs, FrameSink& sink,
                                    const std::stop_token& stop, const FinishedPart& finished) {
  check_inputs(plan, inputs, transformer_->config(), options_.geometry);
  RenderLine::Run line(*line_, options_.overlap, decoder_->parts(), profile_);
  SessionResult result;
  BlockDenoiser denoiser = begin(plan, inputs, finished, line, result.live_prompts, stop);

  auto write = line.stage<RenderedBlock>(Lane::kWrite, "write", [&](const RenderedBlock& block) {
    sink.write(block);
    if (block.index >= 0) ++result.counts.blocks_written;
  });
  const auto whole = [&](const LatentBlock& block) {
    return rendered(block, decoder_->decode(block.latents.receive()));
  };
  const auto begin_half = [&](const LatentBlock& block) {
    return HalfBlock{block, decoder_->begin(block.latents.receive())};
  };
  const auto finish_half = [&](const HalfBlock& half) { return rendered(half.block, decoder_->finish(half.half)); };
  auto second_half = line.stage<HalfBlock>(Lane::kFinishDecoding, "decode", finish_half, write);
  auto decode = line.decodes_in_halves() ? line.stage<LatentBlock>(Lane::kDecode, "decode", begin_half, second_half)
                                         : line.stage<LatentBlock>(Lane::kDecode, "decode", whole, write);
  for (auto number = std::ssize(finished.latents); number < plan.start_blocks() + plan.blocks; ++number) {
    const FrameBlock block = plan.any_block(number);
    change_prompt(denoiser, block, inputs, result.live_prompts);
    const at::Tensor latents = next_latents(denoiser, block, inputs, stop);
    if (!latents.defined()) break;
    decode.put({.index = block.index, .latents = HandedTensor(latents), .counters = denoiser.state().counters()});
    if (block.index + 1 == plan.blocks) break;  // nothing will attend to the last block
    const auto scope = profile_.measure("clean pass");
    denoiser.clean_pass(latents, block.start_frame, clean_timestep(block));
  }
  decode.finish();
  result.counts.transformer = denoiser.state().counters();
  result.counts.evicted_frames = denoiser.state().evicted_frames();
  result.counts.state_bytes = denoiser.state_bytes() + decoder_->state_bytes();
  return result;
}

BlockDenoiser RenderSession::begin(const VideoPlan& plan, const SessionInputs& inputs, const FinishedPart& finished,
                                   RenderLine::Run& line, std::vector<LivePrompt>& taken, const std::stop_token& stop) {
  at::Tensor first_prompt = finished.latents.empty() ? live_prompt(0, inputs, taken) : at::Tensor();
  if (!first_prompt.defined()) first_prompt = inputs.prompts.front().embedding;
  BlockDenoiser denoiser = make_denoiser(plan, inputs, first_prompt);
  decoder_->reset();
  if (!finished.latents.empty()) restore(denoiser, plan, inputs, finished, line, stop);
  return denoiser;
}

void RenderSession::change_prompt(BlockDenoiser& denoiser, const FrameBlock& block, const SessionInputs& inputs,
                                  std::vector<LivePrompt>& taken) {
  const at::Tensor prompt = change_at(block.index, inputs, taken);
  if (!prompt.defined()) return;
  const auto scope = profile_.measure("change prompt");
  denoiser.set_prompt(prompt);
}

at::Tensor RenderSession::next_latents(BlockDenoiser& denoiser, const FrameBlock& block, const SessionInputs& inputs,
                                       const std::stop_token& stop) {
  if (block.index < 0) {
    return inputs.initial_latents.narrow(1, block.start_frame, block.frames).to(options_.device, options_.dtype);
  }
  const auto scope = profile_.measure("denoise");
  return denoiser.denoise(block, *inputs.noise, stop);
}

double RenderSession::clean_timestep(const FrameBlock& block) const {
  return block.index < 0 ? 0 : options_.recipe.context_noise;
}

void RenderSession::restore(BlockDenoiser& denoiser, const VideoPlan& plan, const SessionInputs& inputs,
                            const FinishedPart& finished, RenderLine::Run& line, const std::stop_token& stop) {
  const auto scope = profile_.measure("restore");
  using Latents = std::vector<at::Tensor>;
  auto decoder = line.stage<Latents>(Lane::kDecode, nullptr, [&](const Latents& all) { decoder_->restore(all); });
  const bool complete = std::ssize(finished.latents) == plan.start_blocks() + plan.blocks;
  if (!complete) decoder.put(finished.latents);
  restore_context(denoiser, plan, inputs, finished, stop);
  decoder.finish();
  synchronize(options_.device);
  if (finished.on_restored) finished.on_restored();
}

void RenderSession::restore_context(BlockDenoiser& denoiser, const VideoPlan& plan, const SessionInputs& inputs,
                                    const FinishedPart& finished, const std::stop_token& stop) const {
  const auto done = static_cast<int64_t>(finished.latents.size());
  const int64_t next_block = done - plan.start_blocks();
  const bool complete = next_block == plan.blocks;
  // With kv_recache, the latest prompt change has replaced the context before it, except that of the negative prompt.
  int64_t latest_change = -1;
  for (const EncodedPrompt& prompt : inputs.prompts) {
    if (prompt.first_block > 0 && prompt.first_block <= next_block) latest_change = prompt.first_block;
  }
  const bool all = options_.recipe.guidance_scale != 1.0 || !options_.recipe.kv_recache;
  for (int64_t number = 0; number < done && !stop.stop_requested(); ++number) {
    const FrameBlock block = plan.any_block(number);
    if (options_.keep_pixels && block.index >= 0) denoiser.draw_all(block, *inputs.noise);  // for the recording
    if (complete) continue;
    const at::Tensor latents = finished.latents[static_cast<size_t>(number)].to(options_.device);
    if (all || block.index >= latest_change) {
      if (const EncodedPrompt* prompt = planned_change(inputs, block.index)) denoiser.set_prompt(prompt->embedding);
      denoiser.replay(block, latents, clean_timestep(block), *inputs.noise);
    } else {
      denoiser.commit(latents, block.start_frame, clean_timestep(block));
    }
  }
}

RenderedBlock RenderSession::rendered(const LatentBlock& block, const at::Tensor& pixels) const {
  RenderedBlock result{.index = block.index,
                       .latents = block.latents.receive(),
                       .rgb = to_rgb24(pixels).cpu(),
                       .counters = block.counters};
  if (!result.latents.isfinite().all().item<bool>()) {
    throw DeviceError("frame block " + std::to_string(block.index) +
                          " contains values that are not finite: the weights are damaged, or the model overflows in " +
                          c10::toString(options_.dtype),
                      {.remedies = {{"compute in float32", "dtype", "float32"}}});
  }
  if (options_.keep_pixels) result.pixels = pixels.cpu();
  return result;
}

}  // namespace flashblock
