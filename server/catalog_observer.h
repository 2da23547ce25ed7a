// Forwards the events of a render to the catalog and the video's stream.
#pragma once

#include <memory>
#include <string>

#include "render/pace.h"
#include "render/render.h"
#include "server/video_catalog.h"
#include "server/video_stream.h"

namespace flashblock {

/// Writes a video's progress to the catalog and its segments to a stream. A segment that finds no room in the stream
/// does not end the render, and is tried again with the next one. The stream of a video that is tried again continues.
class CatalogObserver : public RenderObserver {
 public:
  /// `next` receives the same calls; may be null. All references outlive the observer.
  CatalogObserver(std::string id, VideoCatalog& catalog, VideoStreams& streams, RenderObserver* next = nullptr);
  /// Ends the stream, unless it is kept.
  ~CatalogObserver() override;
  /// Whether the stream stays open for another attempt at this video.
  void keep_stream(bool keep) { keep_stream_ = keep; }

  void stage(const std::string& name, const RenderProgress& so_far) override;
  void progress(const RenderProgress& so_far) override;
  void segments_written(const VideoWriter& writer) override;
  void prompt_changed(const TakenPrompt& prompt, double seconds) override;

 private:
  void stream_segments(const VideoWriter& writer);

  const std::string id_;
  VideoCatalog& catalog_;
  VideoStreams& streams_;
  RenderObserver* next_;
  std::shared_ptr<VideoStream> stream_;
  size_t segments_ = 0;  ///< in the stream
  RenderPace pace_;
  int64_t first_block_ = 0;  ///< that this run's pace is measured from
  bool keep_stream_ = false;
};

}  // namespace flashblock
