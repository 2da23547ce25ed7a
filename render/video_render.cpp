#include "render/video_render.h"

#include <algorithm>
#include <utility>

#include "media/video_writer.h"
#include "pipeline/live_prompt_encoder.h"
#include "pipeline/render_line.h"
#include "render/session_setup.h"
#include "render/sidecar.h"

namespace flashblock {

VideoRender::VideoRender(CheckedVideo video, LoadedModel& model, Profile& profile, RenderObserver& observer,
                         const RenderOptions& options, std::chrono::steady_clock::time_point start)
    : video_(std::move(video)),
      setup_(video_.setup),
      model_(model),
      profile_(profile),
      observer_(observer),
      options_(options),
      start_(start),
      nothing_yet_{.blocks = setup_.plan.blocks} {}

RenderResult VideoRender::run(const std::stop_token& stop) {
  // Before anything is loaded, so that of two programs only one renders the video.
  if (setup_.config.resume && video_state(setup_.config.output) == VideoState::kUnfinished) open_sink();
  if (sink_) {
    for (const TakenPrompt& prompt : sink_->taken_prompts()) place_prompt(setup_, prompt.block, prompt.text);
  }
  inputs_ = make_inputs(setup_, model_, observer_);
  if (options_.prompts && !setup_.replay) inputs_.live = live_prompts();
  const bool recording = !setup_.config.record.empty();
  if (recording) inputs_.noise = recorder_.record_noise(inputs_.noise);
  FinishedPart finished;
  if (sink_) finished.latents = sink_->resume(inputs_, model_.dtype());
  resumed_blocks_ = progress().block;
  if (resumed_blocks_ < setup_.plan.blocks || recording) {
    std::stop_source either;
    const std::stop_callback on_stop(stop, [&] { either.request_stop(); });
    const std::stop_callback on_finish(options_.finish_early, [&] { either.request_stop(); });
    run_session(std::move(finished), either.get_token());
  }
  inputs_.live.reset();
  if (progress().block == setup_.plan.blocks) return finish(RenderOutcome::kComplete);
  if (stop.stop_requested()) return result(RenderOutcome::kStopped);
  if (progress().block == 0) {
    RenderResult nothing = result(RenderOutcome::kFinishedEarly);
    nothing.frames = 0;
    sink_->remove_segments();  // of a given start
    return nothing;
  }
  shorten();
  return finish(RenderOutcome::kFinishedEarly);
}

void VideoRender::open_sink() { sink_ = std::make_unique<SegmentSink>(setup_, video_.identity, recorder_, observer_); }

std::shared_ptr<PromptSource> VideoRender::live_prompts() {
  const auto encode = [this](const std::string& text) {
    const bool cut = setup_.config.model.recipe.shot_offset_frames > 0 && text.starts_with(kShotPrefix);
    std::vector<std::string> texts = {encoded_text(setup_, text)};
    if (cut) texts.push_back(encoded_text(setup_, without_cut(text)));
    std::vector<EncodedPrompt> prompts = model_.tokenize(texts);
    std::vector<EncodedPrompt*> all;
    all.reserve(prompts.size());
    for (EncodedPrompt& prompt : prompts) all.push_back(&prompt);
    model_.encode(all);
    if (cut) prompts.front().next = std::make_shared<EncodedPrompt>(prompts.back());
    return prompts.front();
  };
  const auto taken = [this](const TakenPrompt& prompt) {
    sink_->store_prompt(prompt);  // before the frame block that shows it, so that a resumed video shows it there, too
    observer_.prompt_changed(prompt, setup_.plan.seconds_of(prompt.block, setup_.config.fps, setup_.geometry));
  };
  return std::make_shared<LivePromptEncoder>(options_.prompts, encode, taken, threads_per_stage(model_.device()));
}

void VideoRender::run_session(FinishedPart finished, const std::stop_token& stop) {
  const RenderProgress so_far = progress();
  observer_.stage("loading the model", so_far);
  RenderSession session(model_.transformer(), model_.decoder(), session_options(setup_, model_), profile_);
  if (!sink_) open_sink();
  finished.on_restored = [&] { observer_.stage("rendering", so_far); };
  observer_.stage(finished.latents.empty() ? "rendering" : "restoring", so_far);
  const SessionResult rendered = session.render(setup_.plan, inputs_, *sink_, stop, finished);
  counts_ = rendered.counts;
  add_prompts(rendered.live_prompts);
}

void VideoRender::add_prompts(const std::vector<LivePrompt>& prompts) {
  for (const LivePrompt& prompt : prompts) {
    const int64_t block = prompt.encoded.first_block;
    place_prompt(setup_, block, prompt.text);
    std::erase_if(inputs_.prompts, [&](const EncodedPrompt& other) { return other.first_block == block; });
    inputs_.prompts.push_back(prompt.encoded);
    const auto at_next = [&](const EncodedPrompt& other) { return other.first_block == block + 1; };
    const bool replaced = std::any_of(inputs_.prompts.begin(), inputs_.prompts.end(), at_next);
    if (!prompt.encoded.next || replaced || block + 1 >= setup_.plan.blocks) continue;
    inputs_.prompts.push_back(*prompt.encoded.next);
    inputs_.prompts.back().first_block = block + 1;
  }
  inputs_.shots = setup_.shots;
  std::sort(inputs_.prompts.begin(), inputs_.prompts.end(),
            [](const EncodedPrompt& a, const EncodedPrompt& b) { return a.first_block < b.first_block; });
}

void VideoRender::shorten() {
  end_after(setup_, progress().block, progress().frames);
  // Neither has what it needs of a video that ends here: a recording holds the noise of the next frame block, too.
  setup_.config.record.clear();
  setup_.config.contact_sheet.clear();
  WeightsFileLists weights;
  VideoIdentity shorter = identify_video(setup_, video_.device, video_.dtype, needed_parts(setup_.config), weights);
  shorter.checksums = video_.identity.checksums;
  video_.identity = std::move(shorter);
}

RenderResult VideoRender::result(RenderOutcome outcome) const {
  return {.outcome = outcome,
          .frames = progress().frames,
          .blocks = progress().block,
          .resumed_blocks = resumed_blocks_,
          .counts = counts_,
          .config = setup_.config};
}

RenderResult VideoRender::finish(RenderOutcome outcome) {
  RenderResult finished = result(outcome);
  observer_.stage("finishing", progress());
  const auto scope = profile_.measure("finish");
  sink_->finish_receivers();
  const bool streamed = !setup_.config.standard_output.empty(), recorded = !setup_.config.record.empty();
  std::map<std::string, std::string> tags;
  if (!streamed || recorded) {
    // Checksums of new weights of many gigabytes may take longer than the video.
    if (!video_.identity.checksums->ready()) observer_.stage("computing checksums", progress());
    video_.identity.checksums->get();
    tags = video_tags(setup_.config, video_.identity);
  }
  if (recorded) recorder_.write(setup_.config.record, inputs_, tags);
  sink_->join(tags);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start_;
  // Before the segments go: a program that is killed meanwhile resumes the video and writes the sidecar then.
  setup_.truncated_prompts = find_truncated_prompts(setup_);  // live prompts, too
  if (!streamed) write_sidecar(video_, finished, profile_, seconds.count());
  sink_->remove_segments();
  return finished;
}

}  // namespace flashblock
