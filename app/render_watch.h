// What `flashblock render` shows of a video, and what it says if it is interrupted.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "app/command_line.h"
#include "app/interrupt.h"
#include "render/render.h"
#include "server/preview.h"

namespace flashblock {

/// Shows the progress of one video, serves its preview, and turns signals into a request to stop.
/// Thread safety: as RenderObserver; report_interruption() is also called on the thread of Interrupt.
class RenderWatch : public RenderObserver {
 public:
  explicit RenderWatch(const RenderRequest& request);

  /// Starts the preview. Throws: ConfigError for its address.
  void begin(const RenderSetup& setup) override;
  void stage(const std::string& name, const RenderProgress& so_far) override;
  void progress(const RenderProgress& so_far) override;
  void segments_written(const VideoWriter& writer) override { shown_->segments_written(writer); }
  void prompt_changed(const TakenPrompt& prompt, double seconds) override { shown_->prompt_changed(prompt, seconds); }

  std::stop_token token() const { return interrupt_.token(); }
  int signal() const { return interrupt_.signal(); }
  /// Where prompts from the preview's viewers arrive; null: there is no preview.
  const std::shared_ptr<LivePrompts>& prompts() const { return prompts_; }

  /// Lets viewers of a finished video receive the rest of it.
  void end_preview();
  /// Prints how far the video is and how to resume it, to standard error.
  void report_interruption();
  /// The end of an error line: how to resume the video that this run leaves unfinished; empty if it leaves none.
  std::string resume_hint() const;

 private:
  bool has_segments() const;

  const RenderRequest& request_;
  std::shared_ptr<LivePrompts> prompts_;
  std::unique_ptr<RenderObserver> progress_;
  std::unique_ptr<Preview> preview_;
  std::unique_ptr<RenderObserver> watched_;  // the preview's
  RenderObserver* shown_;                    // watched_ where there is a preview, otherwise progress_

  std::mutex mutex_;     // of what follows
  RenderConfig config_;  // output is empty before begin()
  std::string stage_;
  RenderProgress so_far_;
  Interrupt interrupt_;  // last: its thread uses the others
};

}  // namespace flashblock
