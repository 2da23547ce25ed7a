// A film while a user may interrupt it.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "app/interrupt.h"
#include "pipeline/render_film.h"

namespace flashblock {

/// Passes on what happens to a film to another observer, and knows what to say if it is interrupted.
/// Thread safety: as FilmObserver; the program's last words may come from a third thread.
class FilmWatch : public FilmObserver {
 public:
  /// `observer` gets everything but what write_account does.
  FilmWatch(const FilmSetup& setup, FilmObserver& observer, std::function<void(const FilmResult&)> write_account);

  void stage(const std::string& name, const FilmProgress& so_far) override;
  void progress(const FilmProgress& so_far) override;
  void prompt_changed(const TakenPrompt& prompt, double seconds) override { observer_.prompt_changed(prompt, seconds); }
  void written(const FilmWriter& writer) override { observer_.written(writer); }
  void joined(const FilmResult& result) override;

  /// The film's stop on a signal.
  std::stop_token token() const { return interrupt_.token(); }
  int signal() const { return interrupt_.signal(); }

  /// Says how far the film is and how to go on, on standard error.
  void report_interruption();

 private:
  const FilmSetup& setup_;
  FilmObserver& observer_;
  std::function<void(const FilmResult&)> write_account_;
  std::mutex mutex_;
  std::string stage_ = "begin";
  FilmProgress so_far_;
  Interrupt interrupt_;
};

/// A line's end for an error that left an unfinished film: how to go on with it; empty if there is none.
std::string resume_hint(const RenderConfig& config);

}  // namespace flashblock
