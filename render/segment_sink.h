// Where the frame blocks of a video on disk go, and where they are found again. Private to render_video.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "media/contact_sheet.h"
#include "media/video_writer.h"
#include "pipeline/frame_sink.h"
#include "pipeline/recording.h"
#include "render/render.h"

namespace flashblock {

/// Writes the pieces of one video with what is needed to go on after them, its contact sheet and its record.
class SegmentSink : public FrameSink {
 public:
  /// Takes NAME.parts. A resumed video must be the one that is there. All arguments outlive the sink.
  /// Throws: ConfigError, naming what differs; MediaError.
  SegmentSink(const RenderSetup& setup, const RenderOrder& order, Recorder& recorder, RenderObserver& observer);
  /// A folder without segments is of no use to anyone, and goes.
  ~SegmentSink() override;

  /// The blocks that are finished, the given start's first: their latents, as RenderSession takes them. A block that
  /// does not fit is forgotten with all behind it. Call it once, before anything is written.
  /// Throws: ConfigError if the video is to be recorded and was begun without.
  std::vector<at::Tensor> take_up(const SessionInputs& inputs, at::ScalarType dtype);

  /// Prompts that took effect while an earlier run rendered the video, by block.
  const std::vector<TakenPrompt>& taken_prompts() const { return taken_; }
  /// Keeps one with the video, synced. May be called while another thread writes blocks.
  void keep_prompt(const TakenPrompt& prompt);

  void write(const RenderedBlock& block) override;

  /// Joins the segments, tells the observer, and removes them. Throws: ConfigError if a file that the video was made
  /// from is not the one it was begun with; MediaError.
  void finish(const RenderResult& result, const std::map<std::string, std::string>& tags);

  const RenderProgress& progress() const { return progress_; }

 private:
  void claim_folder();
  void keep_identity();
  /// The latents of segment `number`; undefined if its note does not fit the video.
  at::Tensor fitting_latents(const SegmentNote& note, int64_t number, const SessionInputs& inputs,
                             at::ScalarType dtype) const;
  void check_files() const;

  const RenderSetup& setup_;
  const RenderConfig& config_;
  const RenderOrder& order_;
  Recorder& recorder_;
  RenderObserver& observer_;
  VideoWriter writer_;
  ContactSheet sheet_;
  RenderProgress progress_;
  VideoIdentity identity_;  ///< of the video on disk
  std::vector<TakenPrompt> taken_;
  bool checksums_kept_ = false;  ///< in video.json
  bool joined_ = false;
};

}  // namespace flashblock
