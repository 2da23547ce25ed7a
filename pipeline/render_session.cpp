#include "pipeline/render_session.h"

#include <ATen/ops/isfinite.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <string>

#include "core/check.h"
#include "core/error.h"
#include "media/frame_conversion.h"
#include "pipeline/block_denoiser.h"
#include "pipeline/prompt_source.h"
#include "pipeline/stage.h"
#include "pipeline/thread_share.h"

namespace flashblock {
namespace {

/// Frame blocks that may wait between two stages. One is enough to keep both busy; more would only cost memory.
constexpr size_t kWaitingBlocks = 1;

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

/// The prompt that is planned to take effect at a block in mid-video, if one is.
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
      lanes_(options.lanes ? options.lanes : std::make_shared<StageLanes>(options.device)) {}

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
  const c10::InferenceMode no_gradients;
  check_inputs(plan, inputs, transformer_->config(), options_.geometry);
  const std::lock_guard one_video(lanes_->in_use);
  synchronize(options_.device);  // the weights may still be on their way, on another stream
  const int threads = ThreadShare::of_stage(options_.device);
  const ThreadShare share(threads);
  const auto on_stream = lanes_->denoise_stream.enter();
  const auto done = static_cast<int64_t>(finished.latents.size());
  SessionResult result;
  RenderCounts& counts = result.counts;
  at::Tensor first_prompt = done == 0 ? live_prompt(0, inputs, result.live_prompts) : at::Tensor();
  if (!first_prompt.defined()) first_prompt = inputs.prompts.front().embedding;
  BlockDenoiser denoiser = make_denoiser(plan, inputs, first_prompt);
  decoder_->reset();
  if (done > 0) restore(denoiser, plan, inputs, finished, threads, stop);

  Stage<RenderedBlock> writer(worker(lanes_->write_thread), kWaitingBlocks, [&](const RenderedBlock& block) {
    const auto scope = profile_.measure("write");
    sink.write(block);
    if (block.index >= 0) ++counts.blocks_written;
  });
  const bool halves =
      options_.overlap == Overlap::kOn && ThreadShare::decoder_stages(options_.device, threads, decoder_->parts()) == 2;
  Stage<HalfBlock> second_half(halves ? &lanes_->finish_thread : nullptr, kWaitingBlocks,
                               [&](const HalfBlock& block) { writer.put(finish_decoding(block, threads)); });
  Stage<LatentBlock> decode_stage(worker(lanes_->decode_thread), kWaitingBlocks, [&](const LatentBlock& block) {
    if (halves)
      second_half.put(begin_decoding(block, threads));
    else
      writer.put(decode(block, threads));
  });

  for (int64_t number = done; number < plan.start_blocks() + plan.blocks; ++number) {
    const FrameBlock block = plan.any_block(number);
    const bool given = block.index < 0;
    if (const at::Tensor prompt = change_at(block.index, inputs, result.live_prompts); prompt.defined()) {
      const auto scope = profile_.measure("change prompt");
      denoiser.set_prompt(prompt);
    }
    at::Tensor latents;
    if (given) {
      latents = inputs.initial_latents.narrow(1, block.start_frame, block.frames).to(options_.device, options_.dtype);
    } else {
      const auto scope = profile_.measure("denoise");
      latents = denoiser.denoise(block, *inputs.noise, stop);
    }
    if (!latents.defined()) break;
    decode_stage.put({.index = block.index, .latents = HandedTensor(latents), .counters = denoiser.state().counters()});
    if (block.index + 1 == plan.blocks) break;  // nothing will attend to the last block
    const auto scope = profile_.measure("remember");
    denoiser.remember(latents, block.start_frame, clean_timestep(block));
  }
  decode_stage.finish();
  second_half.finish();
  writer.finish();
  counts.transformer = denoiser.state().counters();
  counts.evicted_frames = denoiser.state().evicted_frames();
  counts.state_bytes = denoiser.state_bytes() + decoder_->state_bytes();
  return result;
}

double RenderSession::clean_timestep(const FrameBlock& block) const {
  return block.index < 0 ? 0 : options_.recipe.context_noise;
}

void RenderSession::restore(BlockDenoiser& denoiser, const VideoPlan& plan, const SessionInputs& inputs,
                            const FinishedPart& finished, int threads, const std::stop_token& stop) {
  const auto scope = profile_.measure("restore");
  Stage<std::vector<at::Tensor>> decoder(worker(lanes_->decode_thread), 1,
                                         [&](const auto& latents) { restore_decoder(latents, threads); });
  const bool complete = static_cast<int64_t>(finished.latents.size()) == plan.start_blocks() + plan.blocks;
  if (!complete) decoder.put(finished.latents);
  restore_context(denoiser, plan, inputs, finished, stop);
  decoder.finish();
  synchronize(options_.device);
  if (finished.on_restored) finished.on_restored();
}

void RenderSession::restore_decoder(const std::vector<at::Tensor>& latents, int threads) {
  const c10::InferenceMode no_gradients;
  const ThreadShare share(threads);
  const auto on_stream = lanes_->decode_stream.enter();
  decoder_->restore(latents);
}

void RenderSession::restore_context(BlockDenoiser& denoiser, const VideoPlan& plan, const SessionInputs& inputs,
                                    const FinishedPart& finished, const std::stop_token& stop) const {
  const auto done = static_cast<int64_t>(finished.latents.size());
  const int64_t next_block = done - plan.start_blocks();
  const bool complete = next_block == plan.blocks;
  // With kv_recache the context before the latest change of the prompt is gone, but for guidance's own.
  int64_t latest_change = -1;
  for (const EncodedPrompt& prompt : inputs.prompts) {
    if (prompt.first_block > 0 && prompt.first_block <= next_block) latest_change = prompt.first_block;
  }
  const bool all = options_.recipe.guidance_scale != 1.0 || !options_.recipe.kv_recache;
  for (int64_t number = 0; number < done && !stop.stop_requested(); ++number) {
    const FrameBlock block = plan.any_block(number);
    if (options_.keep_pixels && block.index >= 0) denoiser.draw_all(block, *inputs.noise);  // for the record
    if (complete) continue;
    const at::Tensor latents = finished.latents[static_cast<size_t>(number)].to(options_.device);
    if (all || block.index >= latest_change) {
      if (const EncodedPrompt* prompt = planned_change(inputs, block.index)) denoiser.set_prompt(prompt->embedding);
      denoiser.recall(block, latents, clean_timestep(block), *inputs.noise);
    } else {
      denoiser.note(latents, block.start_frame, clean_timestep(block));
    }
  }
}

RenderSession::HalfBlock RenderSession::begin_decoding(const LatentBlock& block, int threads) {
  const c10::InferenceMode no_gradients;
  const ThreadShare share(threads);
  const auto scope = profile_.measure("decode");
  return {.block = block, .half = decoder_->begin(block.latents.receive())};
}

RenderedBlock RenderSession::finish_decoding(const HalfBlock& block, int threads) {
  const c10::InferenceMode no_gradients;
  const ThreadShare share(threads);
  const auto scope = profile_.measure("decode");
  return rendered(block.block, block.block.latents.receive(), decoder_->finish(block.half));
}

RenderedBlock RenderSession::decode(const LatentBlock& block, int threads) {
  const c10::InferenceMode no_gradients;
  const ThreadShare share(threads);
  const auto scope = profile_.measure("decode");
  const auto on_stream = lanes_->decode_stream.enter();
  const at::Tensor latents = block.latents.receive();
  return rendered(block, latents, decoder_->decode(latents));
}

RenderedBlock RenderSession::rendered(const LatentBlock& block, const at::Tensor& latents,
                                      const at::Tensor& pixels) const {
  RenderedBlock result{
      .index = block.index, .latents = latents, .rgb = to_rgb24(pixels).cpu(), .counters = block.counters};
  if (!latents.isfinite().all().item<bool>()) {
    throw DeviceError("frame block " + std::to_string(block.index) +
                          " came out as infinite or not a number: the weights are damaged, or overflow in this dtype",
                      {.remedies = {{"compute in float32", "dtype", "float32"}}});
  }
  if (options_.keep_pixels) result.pixels = pixels.cpu();
  return result;
}

}  // namespace flashblock
