#include "pipeline/render_session.h"

#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <exception>
#include <future>
#include <string>
#include <type_traits>
#include <utility>

#include "core/check.h"
#include "core/error.h"
#include "media/frame_conversion.h"
#include "pipeline/block_denoiser.h"
#include "pipeline/denoiser_group.h"

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
  const int64_t given = plan.initial_frames + plan.given_frames;
  if (given == 0) return;
  const std::vector<int64_t> wanted = {1, given, config.in_channels, geometry.latent_height(), geometry.latent_width()};
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

bool is_among(const std::vector<int64_t>& blocks, int64_t block) {
  return std::find(blocks.begin(), blocks.end(), block) != blocks.end();
}

/// A frame block on its way from the denoiser to the decoder.
struct LatentBlock {
  int64_t index = 0;
  bool first = false, last = false;
  CrossStreamTensor latents;
  TransformerCounters counters;
  std::shared_ptr<std::promise<CrossStreamTensor>> pixels;  ///< for DecodedFrames; null: nobody waits
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
    return reporting(block, [&] { return HalfBlock{block, decoder_.begin(block.latents.receive())}; });
  }

  RenderedBlock finished(const HalfBlock& half) {
    const ThreadLimit cores(line_.threads(half.block.last));
    return reporting(half.block, [&] { return rendered(half.block, decoder_.finish(half.half)); });
  }

  /// What `work` returns; who waits for the block's pixels learns of its error.
  template <typename Work>
  static std::invoke_result_t<Work> reporting(const LatentBlock& block, const Work& work) {
    try {
      return work();
    } catch (...) {
      if (block.pixels) block.pixels->set_exception(std::current_exception());
      throw;
    }
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
    if (options_.followers) options_.followers->group()->check();
    if (!result.latents.isfinite().all().item<bool>()) {
      throw DeviceError(
          "frame block " + std::to_string(block.index) +
              " contains values that are not finite: the weights are damaged, or the model overflows in " +
              c10::toString(options_.dtype),
          {.remedies = {{"compute in float32", "dtype", "float32"}}});
    }
    if (options_.keep_pixels) result.pixels = pixels.cpu();
    if (block.pixels) block.pixels->set_value(CrossStreamTensor(pixels));
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

/// The decoded frames of the latest block, which a context rule encodes again.
class DecodedFrames {
 public:
  DecodedFrames(std::shared_ptr<LatentEncoder> encoder, const VideoGeometry& geometry)
      : encoder_(std::move(encoder)), geometry_(geometry) {}

  /// Expects the frames of `block`, in place of those of earlier blocks.
  std::shared_ptr<std::promise<CrossStreamTensor>> expect(const FrameBlock& block) {
    auto promise = std::make_shared<std::promise<CrossStreamTensor>>();
    pixels_ = promise->get_future().share();
    start_frame_ = block.start_frame;
    latent_.reset();
    return promise;
  }

  /// As FrameEncoder. Throws: what decoding has thrown.
  at::Tensor encode(int64_t latent_frame) {
    if (latent_.defined() && latent_frame == encoded_) return latent_;
    const int64_t frame = geometry_.frames_of(latent_frame + 1) - 1 - geometry_.frames_of(start_frame_);
    const at::Tensor pixels = pixels_.get().receive();
    FB_CHECK(frame >= 0 && frame < pixels.size(0), "latent frame ", latent_frame, " is not of the latest block");
    encoder_->reset();
    encoded_ = latent_frame;
    return latent_ = encoder_->encode(pixels.narrow(0, frame, 1));
  }

 private:
  std::shared_ptr<LatentEncoder> encoder_;
  VideoGeometry geometry_;
  std::shared_future<CrossStreamTensor> pixels_;
  int64_t start_frame_ = 0, encoded_ = -1;
  at::Tensor latent_;  // of encoded_
};

struct RenderSession::Video {
  const VideoPlan& plan;
  const SessionInputs& inputs;
  const FinishedPart& finished;
  const std::stop_token& stop;
  std::vector<LivePrompt> live_prompts;    ///< that took effect
  std::shared_ptr<DecodedFrames> decoded;  ///< null: no rule encodes frames

  int64_t all_blocks() const { return plan.start_blocks() + plan.blocks; }
};

RenderSession::RenderSession(std::shared_ptr<const VideoTransformer> transformer,
                             std::shared_ptr<LatentDecoder> decoder, const SessionOptions& options, Profile& profile)
    : transformer_(std::move(transformer)),
      decoder_(std::move(decoder)),
      options_(options),
      profile_(profile),
      line_(options.line ? options.line : std::make_shared<RenderLine>(options.device)) {}

std::unique_ptr<BlockDenoiser> RenderSession::make_denoiser(Video& video, const at::Tensor& first_prompt) const {
  const Recipe& recipe = options_.recipe;
  TransformerStateOptions state =
      state_options(recipe, options_.geometry, video.plan.latent_frames(), options_.attention);
  state.observer = options_.observer;
  FrameEncoder encode;
  if (recipe.context_rule->encodes_frames()) {
    FB_CHECK(options_.encoder, "the context rule needs an encoder");
    video.decoded = std::make_shared<DecodedFrames>(options_.encoder, options_.geometry);
    encode = [decoded = video.decoded](int64_t latent_frame) { return decoded->encode(latent_frame); };
  }
  std::unique_ptr<BlockDenoiser> denoiser;
  if (options_.followers) {
    state.group = options_.followers->group();
    denoiser = make_leading_denoiser(transformer_, {recipe, state, options_.device, options_.dtype}, encode,
                                     options_.followers);
  } else {
    denoiser = std::make_unique<BlockDenoiser>(transformer_, recipe, state, options_.device, options_.dtype, encode);
  }
  if (video.plan.given_frames > 0)
    denoiser->set_first_frames(video.inputs.initial_latents.to(options_.device, options_.dtype));
  denoiser->set_prompt(first_prompt);
  if (recipe.guidance_scale != 1.0) denoiser->set_negative_prompt(video.inputs.negative_embedding);
  return denoiser;
}

const LivePrompt* RenderSession::live_prompt(int64_t index, Video& video) const {
  auto prompt = video.inputs.live ? video.inputs.live->at_block(index) : std::nullopt;
  if (!prompt) return nullptr;
  check_prompt(prompt->encoded, transformer_->config());
  prompt->shot = index > 0 && options_.recipe.shot_offset_frames > 0 && prompt->text.starts_with(kShotPrefix);
  return &video.live_prompts.emplace_back(std::move(*prompt));
}

void RenderSession::change_prompt(BlockDenoiser& denoiser, const FrameBlock& block, Video& video) {
  if (block.index <= 0) return;
  const LivePrompt* live = live_prompt(block.index, video);
  const EncodedPrompt* prompt = live ? &live->encoded : planned_change(video.inputs, block.index);
  if (is_among(video.inputs.shots, block.index) || (live && live->shot)) denoiser.begin_shot();
  if (!prompt && !video.live_prompts.empty()) {  // the rest of a shot that began one block earlier
    const EncodedPrompt& latest = video.live_prompts.back().encoded;
    if (latest.first_block == block.index - 1) prompt = latest.next.get();
  }
  if (!prompt) return;
  const auto scope = profile_.measure("change prompt");
  denoiser.set_prompt(prompt->embedding);
}

SessionResult RenderSession::render(const VideoPlan& plan, const SessionInputs& inputs, FrameSink& sink,
                                    const std::stop_token& stop, const FinishedPart& finished) {
  check_inputs(plan, inputs, transformer_->config(), options_.geometry);
  RenderLine::Run line(*line_, options_.overlap, decoder_->parts(), profile_);
  Video video{plan, inputs, finished, stop, {}, {}};
  const std::unique_ptr<BlockDenoiser> made = prepare(video, line);
  BlockDenoiser& denoiser = *made;
  OutputStages output(line, *decoder_, sink, options_);
  for (auto number = std::ssize(finished.latents); number < video.all_blocks(); ++number) {
    const FrameBlock block = plan.any_block(number);
    change_prompt(denoiser, block, video);
    const bool first = number == 0, last = block.index + 1 == plan.blocks;
    at::Tensor latents;
    try {
      latents = next_latents(denoiser, block, video, line.threads(first));
    } catch (const std::future_error&) {  // a stage has failed before it saw the frames that the rule waits for
      output.finish();
      throw;
    } catch (const ProcessLost&) {  // what is denoised is complete
      output.finish();
      throw;
    }
    if (!latents.defined()) break;
    output.put({.index = block.index,
                .first = first,
                .last = last,
                .latents = CrossStreamTensor(latents),
                .counters = denoiser.state().counters(),
                .pixels = video.decoded ? video.decoded->expect(block) : nullptr});
    if (last) break;  // nothing will attend to it
    const auto scope = profile_.measure("clean pass");
    if (block.index < 0)
      denoiser.replay(block, latents, clean_timestep(block), *inputs.noise);
    else
      denoiser.clean_pass(block, latents, clean_timestep(block));
  }
  return {.counts = {.blocks_written = output.finish(),
                     .transformer = denoiser.state().counters(),
                     .evicted_frames = denoiser.state().evicted_frames(),
                     .state_bytes = denoiser.state_bytes() + decoder_->state_bytes()},
          .live_prompts = std::move(video.live_prompts)};
}

std::unique_ptr<BlockDenoiser> RenderSession::prepare(Video& video, RenderLine::Run& line) {
  const bool resumed = !video.finished.latents.empty();
  const LivePrompt* live = resumed ? nullptr : live_prompt(0, video);
  std::unique_ptr<BlockDenoiser> denoiser =
      make_denoiser(video, live ? live->encoded.embedding : video.inputs.prompts.front().embedding);
  decoder_->reset();
  if (resumed) restore(*denoiser, video, line);
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

void RenderSession::restore(BlockDenoiser& denoiser, Video& video, RenderLine::Run& line) {
  const auto scope = profile_.measure("restore");
  using Latents = std::vector<at::Tensor>;
  const std::vector<at::Tensor>& latents = video.finished.latents;
  std::shared_ptr<std::promise<CrossStreamTensor>> pixels;  // of the last block, which is decoded again
  if (video.decoded) pixels = video.decoded->expect(video.plan.any_block(std::ssize(latents) - 1));
  auto decoder = line.stage<Latents>(Lane::kDecode, nullptr, [&](const Latents& all) {
    if (!pixels) return decoder_->restore(all);
    if (all.size() > 1) decoder_->restore({all.begin(), all.end() - 1});
    pixels->set_value(CrossStreamTensor(decoder_->decode(all.back())));
  });
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
  const ContextRule& rule = *options_.recipe.context_rule;
  const bool all = options_.recipe.guidance_scale != 1.0 || !options_.recipe.kv_recache || rule.accumulates() ||
                   rule.encodes_frames();
  for (int64_t number = 0; number < done && !video.stop.stop_requested(); ++number) {
    const FrameBlock block = plan.any_block(number);
    if (options_.keep_pixels && block.index >= 0) denoiser.draw_all(block, *video.inputs.noise);  // for the recording
    if (complete) continue;
    const at::Tensor latents = video.finished.latents[static_cast<size_t>(number)].to(options_.device);
    if (all || block.index >= latest_change) {
      if (is_among(video.inputs.shots, block.index)) denoiser.begin_shot();
      if (const EncodedPrompt* prompt = planned_change(video.inputs, block.index))
        denoiser.set_prompt(prompt->embedding);
      denoiser.replay(block, latents, clean_timestep(block), *video.inputs.noise);
    } else {
      denoiser.commit(latents, block.start_frame, clean_timestep(block));
    }
  }
}

}  // namespace flashblock
