// Writes the frame blocks of a video to disk, and reads those of an earlier run. Private to VideoRender.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "media/contact_sheet.h"
#include "media/stream_output.h"
#include "media/video_writer.h"
#include "pipeline/frame_sink.h"
#include "pipeline/recording.h"
#include "render/render.h"
#include "render/segment_queue.h"

namespace flashblock {

/// Writes the segments of one video, each with what is needed to resume after it, and collects its contact sheet and
/// its recording.
class SegmentSink : public FrameSink {
 public:
  /// Locks NAME.parts. The video to resume must be the one that is there. `identity`: of this video, with checksums in
  /// computation. All references outlive the sink. Throws: ConfigError, naming what differs; MediaError.
  SegmentSink(const RenderSetup& setup, const VideoIdentity& identity, Recorder& recorder, RenderObserver& observer);
  /// Removes a folder that holds no segments.
  ~SegmentSink() override;

  /// Latents of the finished blocks, the given start's first, as RenderSession takes them. A block that does not fit is
  /// dropped with all after it. Call it once, before anything is written.
  /// Throws: ConfigError if the video is to be recorded and was begun without.
  std::vector<at::Tensor> resume(const SessionInputs& inputs, at::ScalarType dtype);

  /// Live prompts that took effect in an earlier run, by block.
  const std::vector<TakenPrompt>& taken_prompts() const { return taken_; }
  /// Stores one with the unfinished video, synced to disk. May be called while another thread writes blocks.
  void store_prompt(const TakenPrompt& prompt);

  void write(const RenderedBlock& block) override;
  void finish() override { queue_.finish(); }

  /// Ends standard output and what was sent to other receivers; after the last segment. Throws: MediaError.
  void finish_receivers();

  /// Joins the segments into the video, unless it goes to standard output, with `tags` as its metadata, and writes the
  /// contact sheet. Throws: ConfigError if a file that the video is made from has changed since it was begun;
  /// MediaError.
  void join(const std::map<std::string, std::string>& tags);
  /// Removes NAME.parts.
  void remove_segments();

  /// Of the segments that are stored. Not while the video is rendered.
  const RenderProgress& progress() const { return progress_; }

 private:
  void claim_folder(const VideoIdentity& wanted);
  void open_receivers();
  /// Sends the segments that are new on disk on.
  void forward();
  /// After a block's segment is on disk.
  void stored(int64_t index, const TransformerCounters& counters);
  void store_identity();
  /// The latents of segment `number`; undefined if its note does not fit the video.
  at::Tensor fitting_latents(const SegmentNote& note, int64_t number, const SessionInputs& inputs,
                             at::ScalarType dtype) const;
  void check_files() const;

  const RenderSetup& setup_;
  const RenderConfig& config_;
  Recorder& recorder_;
  RenderObserver& observer_;
  VideoWriter writer_;
  ContactSheet sheet_;
  RenderProgress progress_;
  VideoIdentity identity_;  ///< of the video on disk, with its id
  std::vector<TakenPrompt> taken_;
  bool checksums_stored_ = false;  ///< in video.json
  bool joined_ = false;
  std::unique_ptr<SegmentReceiver> standard_output_;  ///< null: the video is a file
  std::vector<std::unique_ptr<SegmentReceiver>> tees_;
  size_t forwarded_ = 0;  ///< segments
  SegmentQueue queue_;    ///< last: its thread uses the others
};

}  // namespace flashblock
