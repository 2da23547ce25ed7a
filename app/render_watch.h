// A video while a user may interrupt it.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "app/interrupt.h"
#include "render/render.h"

namespace flashblock {

/// Passes on what happens to a video to another observer, and knows what to say if it is interrupted.
/// Thread safety: as RenderObserver; the program's last words may come from a third thread.
class RenderWatch : public RenderObserver {
 public:
  /// `observer` gets everything but what write_account does.
  RenderWatch(const RenderSetup& setup, RenderObserver& observer,
              std::function<void(const RenderResult&)> write_account);

  void stage(const std::string& name, const RenderProgress& so_far) override;
  void progress(const RenderProgress& so_far) override;
  void prompt_changed(const TakenPrompt& prompt, double seconds) override { observer_.prompt_changed(prompt, seconds); }
  void written(const VideoWriter& writer) override { observer_.written(writer); }
  void joined(const RenderResult& result) override;

  /// The video's stop on a signal.
  std::stop_token token() const { return interrupt_.token(); }
  int signal() const { return interrupt_.signal(); }

  /// Says how far the video is and how to go on, on standard error.
  void report_interruption();

 private:
  const RenderSetup& setup_;
  RenderObserver& observer_;
  std::function<void(const RenderResult&)> write_account_;
  std::mutex mutex_;
  std::string stage_ = "begin";
  RenderProgress so_far_;
  Interrupt interrupt_;
};

/// A line's end for an error that left an unfinished video: how to go on with it; empty if there is none.
std::string resume_hint(const RenderConfig& config);

}  // namespace flashblock
