#include "render/session_setup.h"

#include "pipeline/context_rule.h"
#include "pipeline/noise_source.h"
#include "pipeline/recording.h"
#include "pipeline/render_line.h"

namespace flashblock {
namespace {

std::vector<EncodedPrompt> tokenized_prompts(const RenderSetup& setup, const LoadedModel& model) {
  if (setup.replay && !setup.replay->prompts().empty()) return setup.replay->prompts();
  const std::vector<PlannedPrompt> planned = planned_prompts(setup);
  std::vector<std::string> texts;
  texts.reserve(planned.size());
  for (const PlannedPrompt& prompt : planned) texts.push_back(encoded_text(setup, prompt.text));
  std::vector<EncodedPrompt> prompts = model.tokenize(texts);
  for (size_t i = 0; i < prompts.size(); ++i) prompts[i].first_block = planned[i].block;
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
  const StageScope as_in_a_render(model.device());  // as for live prompts (LivePromptEncoder)
  model.encode(all);
  if (!negative.empty()) inputs.negative_embedding = negative.front().embedding;
}

}  // namespace

SessionInputs make_inputs(const RenderSetup& setup, const LoadedModel& model, RenderObserver& observer) {
  const RenderProgress nothing_yet{.blocks = setup.plan.blocks};
  SessionInputs inputs{.shots = setup.shots, .noise = std::make_shared<SeededNoise>(*setup.config.seed)};
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
          .keep_pixels = !setup.config.record.empty() || !takes_rgb24(video_format(setup.config).encoding),
          .line = model.line(),
          .encoder = setup.config.model.recipe.context_rule->encodes_frames() ? model.encoder() : nullptr,
          .followers = model.followers()};
}

}  // namespace flashblock
