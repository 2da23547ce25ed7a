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

/// A frame block on its way from the denoiser to the decoder.
struct LatentBlock {
  int64_t index = 0;
  bool first = false, last = false;
  CrossStreamTensor latents;
  TransformerCounters counters;
};

/// A frame block after the decoder's first half.
struct HalfBlock {
  LatentBlock block;
  LatentDecoder::HalfDecoded half;
};

/// The stages after the denoiser: decoding, as one stage or as two halves, and writing.
class OutputStages {
 public:
  OutputStages(RenderLine::Run& line, LatentDecoder& decoder, FrameSink& sink, const SessionOptions& options)
      : line_(line),
        decoder_(decoder),
        sink_(sink),
        options_(options),
        write_(line.stage<RenderedBlock>(Lane::kWrite, "write", [this](const RenderedBlock& block) { write(block); })),
        second_half_(line.stage<HalfBlock>(
            Lane::kFinishDecoding, "decode", [this](const HalfBlock& half) { return finished(half); }, write_)),
        decode_(first_decoding_stage()) {}

  void put(LatentBlock block) { decode_.put(std::move(block)); }
  /// Waits until everything is written. Returns the number of frame blocks, without those of the start.
  int64_t finish() {
    decode_.finish();
    sink_.finish();
    return blocks_written_;
  }

 private:
  Stage<LatentBlock> first_decoding_stage() {
    const auto first_half = [this](const LatentBlock& block) { return begun(block); };
    const auto whole = [this](const LatentBlock& block) { return finished(begun(block)); };
    if (line_.decodes_in_halves()) return line_.stage<LatentBlock>(Lane::kDecode, "decode", first_half, second_half_);
    return line_.stage<LatentBlock>(Lane::kDecode, "decode", whole, write_);
  }

  HalfBlock begun(const LatentBlock& block) {
    const ThreadLimit cores(line_.threads(block.first && block.last));
    return {block, decoder_.begin(block.latents.receive())};
  }

  RenderedBlock finished(const HalfBlock& half) {
    const ThreadLimit cores(line_.threads(half.block.last));
    return rendered(half.block, decoder_.finish(half.half));
  }

  void write(const RenderedBlock& block) {
    sink_.write(block);
    if (block.index >= 0) ++blocks_written_;
  }

  RenderedBlock rendered(const LatentBlock& block, const at::Tensor& pixels) const {
    RenderedBlock result{.index = block.index,
                         .latents = block.latents.receive(),
                         .rgb = to_rgb24(pixels).cpu(),
                         .counters = block.counters};
    if (!result.latents.isfinite().all().item<bool>()) {
      throw DeviceError(
          "frame block " + std::to_string(block.index) +
              " contains values that are not finite: the weights are damaged, or the model overflows in " +
              c10::toString(options_.dtype),
          {.remedies = {{"compute in float32", "dtype", "float32"}}});
    }
    if (options_.keep_pixels) result.pixels = pixels.cpu();
    return result;
  }

  RenderLine::Run& line_;
  LatentDecoder& decoder_;
  FrameSink& sink_;
  const SessionOptions& options_;
  int64_t blocks_written_ = 0;
  Stage<RenderedBlock> write_;
  Stage<HalfBlock> second_half_;
  Stage<LatentBlock> decode_;
};

}  // namespace

struct RenderSession::Video {
  const VideoPlan& plan;
  const SessionInputs& inputs;
  const FinishedPart& finished;
  const std::stop_token& stop;
  std::vector<LivePrompt> live_prompts;  ///< that took effect

  int64_t all_blocks() const { return plan.start_blocks() + plan.blocks; }
};

RenderSession::RenderSession(std::shared_ptr<const VideoTransformer> transformer,
                             std::shared_ptr<LatentDecoder> decoder, const SessionOptions& options, Profile& profile)
    : transformer_(std::move(transformer)),
      decoder_(std::move(decoder)),
      options_(options),
      profile_(profile),
      line_(options.line ? options.line : std::make_shared<RenderLine>(options.device)) {}

BlockDenoiser RenderSession::make_denoiser(const Video& video, const at::Tensor& first_prompt) const {
  const Recipe& recipe = options_.recipe;
  const TransformerStateOptions state{.geometry = options_.geometry,
                                      .frames_per_block = recipe.frames_per_block,
                                      .window_frames = recipe.window_frames,
                                      .sink_frames = recipe.sink_frames,
                                      .max_frames = video.plan.latent_frames(),
                                      .position_frames = recipe.position_frames,
                                      .attention = options_.attention,
                                      .observer = options_.observer};
  BlockDenoiser denoiser(transformer_, recipe, state, options_.device, options_.dtype);
  denoiser.set_prompt(first_prompt);
  if (recipe.guidance_scale != 1.0) denoiser.set_negative_prompt(video.inputs.negative_embedding);
  return denoiser;
}

at::Tensor RenderSession::live_prompt(int64_t index, Video& video) const {
  const auto prompt = video.inputs.live ? video.inputs.live->at_block(index) : std::nullopt;
  if (!prompt) return {};
  check_prompt(prompt->encoded, transformer_->config());
  return video.live_prompts.emplace_back(*prompt).encoded.embedding;
}

void RenderSession::change_prompt(BlockDenoiser& denoiser, const FrameBlock& block, Video& video) {
  if (block.index <= 0) return;
  at::Tensor prompt = live_prompt(block.index, video);
  if (const EncodedPrompt* planned = planned_change(video.inputs, block.index); planned && !prompt.defined()) {
    prompt = planned->embedding;
  }
  if (!prompt.defined()) return;
  const auto scope = profile_.measure("change prompt");
  denoiser.set_prompt(prompt);
}

SessionResult RenderSession::render(const VideoPlan& plan, const SessionInputs& inputs, FrameSink& sink,
                                    const std::stop_token& stop, const FinishedPart& finished) {
  check_inputs(plan, inputs, transformer_->config(), options_.geometry);
  RenderLine::Run line(*line_, options_.overlap, decoder_->parts(), profile_);
  Video video{plan, inputs, finished, stop, {}};
  BlockDenoiser denoiser = prepare(video, line);
  OutputStages output(line, *decoder_, sink, options_);
  for (auto number = std::ssize(finished.latents); number < video.all_blocks(); ++number) {
    const FrameBlock block = plan.any_block(number);
    change_prompt(denoiser, block, video);
    const bool first = number == 0, last = block.index + 1 == plan.blocks;
    const at::Tensor latents = next_latents(denoiser, block, video, line.threads(first));
    if (!latents.defined()) break;
    output.put({.index = block.index,
                .first = first,
                .last = last,
                .latents = CrossStreamTensor(latents),
                .counters = denoiser.state().counters()});
    if (last) break;  // nothing will attend to it
    const auto scope = profile_.measure("clean pass");
    denoiser.clean_pass(latents, block.start_frame, clean_timestep(block));
  }
  return {.counts = {.blocks_written = output.finish(),
                     .transformer = denoiser.state().counters(),
                     .evicted_frames = denoiser.state().evicted_frames(),
                     .state_bytes = denoiser.state_bytes() + decoder_->state_bytes()},
          .live_prompts = std::move(video.live_prompts)};
}

BlockDenoiser RenderSession::prepare(Video& video, RenderLine::Run& line) {
  const bool resumed = !video.finished.latents.empty();
  at::Tensor first_prompt = resumed ? at::Tensor() : live_prompt(0, video);
  if (!first_prompt.defined()) first_prompt = video.inputs.prompts.front().embedding;
  BlockDenoiser denoiser = make_denoiser(video, first_prompt);
  decoder_->reset();
  if (resumed) restore(denoiser, video, line);
  return denoiser;
}

at::Tensor RenderSession::next_latents(BlockDenoiser& denoiser, const FrameBlock& block, const Video& video,
                                       int threads) {
  if (block.index < 0) {
    return video.inputs.initial_latents.narrow(1, block.start_frame, block.frames).to(options_.device, options_.dtype);
  }
  const auto scope = profile_.measure("denoise");
  const ThreadLimit cores(threads);
  return denoiser.denoise(block, *video.inputs.noise, video.stop);
}

double RenderSession::clean_timestep(const FrameBlock& block) const {
  return block.index < 0 ? 0 : options_.recipe.context_noise;
}

void RenderSession::restore(BlockDenoiser& denoiser, const Video& video, RenderLine::Run& line) {
  const auto scope = profile_.measure("restore");
  using Latents = std::vector<at::Tensor>;
  auto decoder = line.stage<Latents>(Lane::kDecode, nullptr, [&](const Latents& all) { decoder_->restore(all); });
  const std::vector<at::Tensor>& latents = video.finished.latents;
  if (std::ssize(latents) < video.all_blocks()) decoder.put(latents);
  restore_context(denoiser, video);
  decoder.finish();
  synchronize(options_.device);
  if (video.finished.on_restored) video.finished.on_restored();
}

void RenderSession::restore_context(BlockDenoiser& denoiser, const Video& video) const {
  const VideoPlan& plan = video.plan;
  const auto done = static_cast<int64_t>(video.finished.latents.size());
  const int64_t next_block = done - plan.start_blocks();
  const bool complete = next_block == plan.blocks;
  // With kv_recache, the latest prompt change has replaced the context before it, except that of the negative prompt.
  int64_t latest_change = -1;
  for (const EncodedPrompt& prompt : video.inputs.prompts) {
    if (prompt.first_block > 0 && prompt.first_block <= next_block) latest_change = prompt.first_block;
  }
  const bool all = options_.recipe.guidance_scale != 1.0 || !options_.recipe.kv_recache;
  for (int64_t number = 0; number < done && !video.stop.stop_requested(); ++number) {
    const FrameBlock block = plan.any_block(number);
    if (options_.keep_pixels && block.index >= 0) denoiser.draw_all(block, *video.inputs.noise);  // for the recording
    if (complete) continue;
    const at::Tensor latents = video.finished.latents[static_cast<size_t>(number)].to(options_.device);
    if (all || block.index >= latest_change) {
      if (const EncodedPrompt* prompt = planned_change(video.inputs, block.index))
        denoiser.set_prompt(prompt->embedding);
      denoiser.replay(block, latents, clean_timestep(block), *video.inputs.noise);
    } else {
      denoiser.commit(latents, block.start_frame, clean_timestep(block));
    }
  }
}

}  // namespace flashblock
