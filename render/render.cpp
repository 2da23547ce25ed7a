#include "render/render.h"

#include <algorithm>
#include <memory>

#include "core/check.h"
#include "media/video_writer.h"
#include "pipeline/live_prompt_encoder.h"
#include "pipeline/noise_source.h"
#include "pipeline/recording.h"
#include "pipeline/render_line.h"
#include "render/segment_sink.h"

namespace flashblock {
namespace {

std::vector<EncodedPrompt> tokenized_prompts(const RenderSetup& setup, const LoadedModel& model) {
  if (setup.replay && !setup.replay->prompts().empty()) return setup.replay->prompts();
  std::vector<std::string> texts = {setup.config.prompt};
  for (const PromptChange& change : setup.config.timeline) texts.push_back(change.prompt);
  std::vector<EncodedPrompt> prompts = model.tokenize(texts);
  for (size_t i = 1; i < prompts.size(); ++i) prompts[i].first_block = setup.change_blocks[i - 1];
  return prompts;
}

void encode_prompts(const RenderSetup& setup, const LoadedModel& model, SessionInputs& inputs) {
  inputs.prompts = tokenized_prompts(setup, model);
  std::vector<EncodedPrompt*> all;
  for (EncodedPrompt& prompt : inputs.prompts) all.push_back(&prompt);
  std::vector<EncodedPrompt> negative;
  if (setup.config.model.recipe.guidance_scale != 1.0) {
    if (setup.replay) inputs.negative_embedding = setup.replay->negative_embedding();
    if (!inputs.negative_embedding.defined()) negative = model.tokenize({setup.config.model.recipe.negative_prompt});
  }
  if (!negative.empty()) all.push_back(&negative.front());
  const StageScope as_in_a_render(model.device());  // as a prompt that comes while the video is rendered
  model.encode(all);
  if (!negative.empty()) inputs.negative_embedding = negative.front().embedding;
}

/// Takes the prompts that come while the video is rendered, and writes into `setup` and `inputs` which came when.
std::shared_ptr<PromptSource> live_prompts(const std::shared_ptr<LivePrompts>& prompts, RenderSetup& setup,
                                           const LoadedModel& model, SessionInputs& inputs, RenderObserver& observer,
                                           const std::unique_ptr<SegmentSink>& sink) {
  const auto encode = [&model](const std::string& text) {
    EncodedPrompt prompt = model.tokenize({text}).front();
    model.encode({&prompt});
    return prompt;
  };
  const auto taken = [&](const TakenPrompt& prompt, const EncodedPrompt& encoded) {
    sink->keep_prompt(prompt);  // before the block that shows it: a resumed video shows it there, too
    place_prompt(setup, prompt.block, prompt.text);
    std::erase_if(inputs.prompts, [&](const EncodedPrompt& other) { return other.first_block == prompt.block; });
    inputs.prompts.push_back(encoded);
    std::sort(inputs.prompts.begin(), inputs.prompts.end(),
              [](const EncodedPrompt& a, const EncodedPrompt& b) { return a.first_block < b.first_block; });
    observer.prompt_changed(prompt, setup.plan.seconds_of(prompt.block, setup.config.fps, setup.geometry));
  };
  return std::make_shared<LivePromptEncoder>(prompts, encode, taken, threads_per_stage(model.device()));
}

}  // namespace

SessionInputs make_inputs(const RenderSetup& setup, const LoadedModel& model, RenderObserver& observer) {
  const RenderProgress nothing_yet{.blocks = setup.plan.blocks};
  SessionInputs inputs{.noise = std::make_shared<SeededNoise>(*setup.config.seed)};
  observer.stage("encoding the prompt", nothing_yet);
  encode_prompts(setup, model, inputs);
  if (setup.replay) {
    inputs.initial_latents = setup.replay->initial_latents();
    inputs.noise = setup.replay->noise_source(inputs.noise);
  }
  if (setup.start_pixels.defined()) {
    observer.stage("encoding the start", nothing_yet);
    inputs.initial_latents = model.encode_start(setup.start_pixels);
  }
  return inputs;
}

SessionOptions session_options(const RenderSetup& setup, LoadedModel& model) {
  return {.geometry = setup.geometry,
          .recipe = setup.config.model.recipe,
          .attention = setup.config.attention,
          .device = model.device(),
          .dtype = model.dtype(),
          .overlap = setup.config.overlap ? Overlap::kOn : Overlap::kOff,
          .keep_pixels = !setup.config.record.empty(),
          .line = model.line()};
}

RenderResult render_video(RenderSetup setup, LoadedModel& model, const RenderOrder& order, Profile& profile,
                          RenderObserver& observer, const std::stop_token& stop) {
  FB_CHECK(setup.config.seed && !setup.config.output.empty());
  FB_CHECK(!order.prompts || !setup.replay, "a replayed video has its prompts on record");
  const RenderConfig& config = setup.config;
  Recorder recorder;
  std::unique_ptr<SegmentSink> sink;
  const auto open_sink = [&] { sink = std::make_unique<SegmentSink>(setup, order, recorder, observer); };
  // Before anything is loaded, so that only one of two programs does it; a new video's folder comes when it is needed.
  if (config.resume && video_state(config.output) == VideoState::kUnfinished) open_sink();
  const std::vector<TakenPrompt> taken = sink ? sink->taken_prompts() : std::vector<TakenPrompt>();
  for (const TakenPrompt& prompt : taken) place_prompt(setup, prompt.block, prompt.text);
  SessionInputs inputs = make_inputs(setup, model, observer);
  if (order.prompts) inputs.live = live_prompts(order.prompts, setup, model, inputs, observer, sink);
  if (!config.record.empty()) inputs.noise = recorder.record_noise(inputs.noise);
  FinishedPart finished;
  if (sink) finished.latents = sink->take_up(inputs, model.dtype());

  RenderResult result;
  result.resumed_blocks = sink ? sink->progress().block : 0;
  if (result.resumed_blocks < setup.plan.blocks || !config.record.empty()) {
    const RenderProgress so_far = sink ? sink->progress() : RenderProgress{.blocks = setup.plan.blocks};
    observer.stage("loading the model", so_far);
    RenderSession session(model.transformer(), model.decoder(), session_options(setup, model), profile);
    if (!sink) open_sink();
    finished.on_restored = [&] { observer.stage("rendering", so_far); };
    observer.stage(finished.latents.empty() ? "rendering" : "restoring", so_far);
    result.counts = session.render(setup.plan, inputs, *sink, stop, finished);
  }
  result.config = config;
  result.blocks = sink->progress().block;
  result.complete = result.blocks == setup.plan.blocks;
  result.frames = sink->progress().frames;
  if (!result.complete) return result;

  observer.stage("finishing", sink->progress());
  const auto scope = profile.measure("finish");
  const auto tags = order.tags(config);
  if (!config.record.empty()) recorder.write(config.record, inputs, tags);
  sink->finish(result, tags);
  return result;
}

}  // namespace flashblock
