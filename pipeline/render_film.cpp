#include "pipeline/render_film.h"

#include <algorithm>
#include <optional>

#include "core/check.h"
#include "media/contact_sheet.h"
#include "media/film_writer.h"
#include "pipeline/film_record.h"
#include "pipeline/live_prompt_encoder.h"
#include "pipeline/noise_source.h"
#include "pipeline/thread_share.h"

namespace flashblock {
namespace {

/// Takes the frame blocks to all the places where they go.
class FilmSink : public FrameSink {
 public:
  FilmSink(const FilmSetup& setup, FilmRecorder& recorder, FilmObserver& observer)
      : config_(setup.config),
        recorder_(recorder),
        observer_(observer),
        writer_(config_.output, format(setup), config_.overwrite ? ExistingFilm::kReplace : ExistingFilm::kRefuse,
                setup.plan.pictures),
        sheet_(setup.plan.pictures, config_.fps),
        progress_{.blocks = setup.plan.blocks} {}

  /// A folder without pieces is of no use to anyone.
  ~FilmSink() override {
    if (!writer_.pieces().empty() || joined_) return;
    std::error_code ignored;
    std::filesystem::remove_all(parts_folder(writer_.film()), ignored);
  }

  void write(const RenderedBlock& block) override {
    writer_.write(block.rgb);
    if (!config_.contact_sheet.empty()) sheet_.add(block.rgb);
    if (!config_.record.empty()) recorder_.add(block);
    progress_.pictures = writer_.frames();
    progress_.transformer = block.counters;
    if (block.index >= 0) ++progress_.block;
    observer_.progress(progress_);
  }

  void finish(const std::map<std::string, std::string>& tags) {
    if (!config_.contact_sheet.empty()) sheet_.write(config_.contact_sheet);
    writer_.join(tags);
    joined_ = true;
    writer_.remove_parts();
  }

  const FilmProgress& progress() const { return progress_; }

 private:
  static FilmFormat format(const FilmSetup& setup) {
    const RenderConfig& config = setup.config;
    return {.width = config.width, .height = config.height, .fps = config.fps, .encoder = config.encoder};
  }

  const RenderConfig& config_;
  FilmRecorder& recorder_;
  FilmObserver& observer_;
  FilmWriter writer_;
  ContactSheet sheet_;
  FilmProgress progress_;
  bool joined_ = false;
};

std::vector<EncodedPrompt> tokenized_prompts(const FilmSetup& setup, const LoadedModel& model) {
  if (setup.replay && !setup.replay->prompts().empty()) return setup.replay->prompts();
  std::vector<std::string> texts = {setup.config.prompt};
  for (const PromptChange& change : setup.config.timeline) texts.push_back(change.prompt);
  std::vector<EncodedPrompt> prompts = model.tokenize(texts);
  for (size_t i = 1; i < prompts.size(); ++i) prompts[i].first_block = setup.change_blocks[i - 1];
  return prompts;
}

void encode_prompts(const FilmSetup& setup, const LoadedModel& model, FilmInputs& inputs) {
  inputs.prompts = tokenized_prompts(setup, model);
  std::vector<EncodedPrompt*> all;
  for (EncodedPrompt& prompt : inputs.prompts) all.push_back(&prompt);
  std::vector<EncodedPrompt> negative;
  if (setup.config.model.recipe.guidance_scale != 1.0) {
    if (setup.replay) inputs.negative_embedding = setup.replay->negative_embedding();
    if (!inputs.negative_embedding.defined()) negative = model.tokenize({setup.config.model.recipe.negative_prompt});
  }
  if (!negative.empty()) all.push_back(&negative.front());
  const ThreadShare share(ThreadShare::of_stage(model.device()));  // as a prompt that comes while the film is rendered
  model.encode(all);
  if (!negative.empty()) inputs.negative_embedding = negative.front().embedding;
}

/// Takes the prompts that come while the film is rendered, and writes into `setup` and `inputs` which came when.
std::shared_ptr<PromptSource> live_prompts(const std::shared_ptr<LivePrompts>& prompts, FilmSetup& setup,
                                           const LoadedModel& model, FilmInputs& inputs, FilmObserver& observer) {
  const auto encode = [&model](const std::string& text) {
    EncodedPrompt prompt = model.tokenize({text}).front();
    model.encode({&prompt});
    return prompt;
  };
  const auto taken = [&](const TakenPrompt& prompt, const EncodedPrompt& encoded) {
    place_prompt(setup, prompt.block, prompt.text);
    std::erase_if(inputs.prompts, [&](const EncodedPrompt& other) { return other.first_block == prompt.block; });
    inputs.prompts.push_back(encoded);
    std::sort(inputs.prompts.begin(), inputs.prompts.end(),
              [](const EncodedPrompt& a, const EncodedPrompt& b) { return a.first_block < b.first_block; });
    observer.prompt_changed(prompt, setup.plan.seconds_of(prompt.block, setup.config.fps, setup.geometry));
  };
  return std::make_shared<LivePromptEncoder>(prompts, encode, taken, ThreadShare::of_stage(model.device()));
}

}  // namespace

FilmInputs make_film_inputs(const FilmSetup& setup, const LoadedModel& model, FilmObserver& observer) {
  const FilmProgress nothing_yet{.blocks = setup.plan.blocks};
  FilmInputs inputs{.noise = std::make_shared<SeededNoise>(*setup.config.seed)};
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

SessionOptions session_options(const FilmSetup& setup, const LoadedModel& model) {
  return {.geometry = setup.geometry,
          .recipe = setup.config.model.recipe,
          .attention = setup.config.attention,
          .device = model.device(),
          .dtype = model.dtype(),
          .overlap = setup.config.overlap ? Overlap::kOn : Overlap::kOff,
          .keep_pixels = !setup.config.record.empty()};
}

FilmResult render_film(FilmSetup setup, LoadedModel& model, const FilmOrder& order, Profile& profile,
                       FilmObserver& observer, const std::stop_token& stop) {
  FB_CHECK(setup.config.seed && !setup.config.output.empty());
  FB_CHECK(!order.prompts || !setup.replay, "a replayed film has its prompts on record");
  FilmInputs inputs = make_film_inputs(setup, model, observer);
  if (order.prompts) inputs.live = live_prompts(order.prompts, setup, model, inputs, observer);
  FilmRecorder recorder;
  if (!setup.config.record.empty()) inputs.noise = recorder.listen_to(inputs.noise);

  observer.stage("loading the model", {.blocks = setup.plan.blocks});
  RenderSession session(model.transformer(), model.decoder(), session_options(setup, model), profile);
  FilmSink sink(setup, recorder, observer);
  observer.stage("rendering", sink.progress());
  FilmResult result{.counts = session.render(setup.plan, inputs, sink, stop)};
  result.config = setup.config;
  result.complete = result.counts.blocks_written == setup.plan.blocks;
  result.pictures = sink.progress().pictures;
  if (!result.complete) return result;

  observer.stage("finishing", sink.progress());
  const auto scope = profile.measure("finish");
  const auto tags = order.tags(setup.config);
  if (!setup.config.record.empty()) recorder.write(setup.config.record, inputs, tags);
  sink.finish(tags);
  return result;
}

}  // namespace flashblock
