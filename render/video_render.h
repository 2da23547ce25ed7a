// One video while it is rendered. Private to Renderer.
#pragma once

#include <chrono>
#include <memory>

#include "core/profile.h"
#include "pipeline/loaded_model.h"
#include "pipeline/recording.h"
#include "render/render.h"
#include "render/segment_sink.h"

namespace flashblock {

/// Renders a checked video once. References outlive it.
class VideoRender {
 public:
  /// `start`: since when the sidecar counts the seconds of the run. `profile`: gets the stages, that of the model.
  VideoRender(CheckedVideo video, LoadedModel& model, Profile& profile, RenderObserver& observer,
              const RenderOptions& options, std::chrono::steady_clock::time_point start);

  RenderResult run(const std::stop_token& stop);

 private:
  const RenderProgress& progress() const { return sink_ ? sink_->progress() : nothing_yet_; }
  void open_sink();
  /// Live prompts, each stored with the unfinished video before it takes effect.
  std::shared_ptr<PromptSource> live_prompts();
  void run_session(FinishedPart finished, const std::stop_token& stop);
  /// Puts the prompts that took effect into setup and inputs.
  void add_prompts(const std::vector<LivePrompt>& prompts);
  /// Makes the video that of its finished frame blocks.
  void shorten();
  RenderResult result(RenderOutcome outcome) const;
  /// Leaves NAME.mp4 and NAME.json in place of NAME.parts.
  RenderResult finish(RenderOutcome outcome);

  CheckedVideo video_;
  RenderSetup& setup_;  // video_'s
  LoadedModel& model_;
  Profile& profile_;
  RenderObserver& observer_;
  const RenderOptions& options_;
  std::chrono::steady_clock::time_point start_;

  RenderProgress nothing_yet_;
  Recorder recorder_;
  std::unique_ptr<SegmentSink> sink_;  // null: a new video whose folder is not needed yet
  SessionInputs inputs_;
  int64_t resumed_blocks_ = 0;
  RenderCounts counts_;
};

}  // namespace flashblock
