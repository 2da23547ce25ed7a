// What the user sees while a film is rendered.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "pipeline/render_film.h"

namespace flashblock {

enum class ProgressStyle {
  kAuto,  ///< a bar on a terminal, otherwise nothing
  kBar,   ///< one line that is drawn again
  kJson,  ///< one JSON object a line
  kNone,
};

/// Throws: ConfigError that names the styles there are.
ProgressStyle parse_progress_style(const std::string& name);

/// The observer for a style, writing to standard error. Fields of the JSON objects: `stage`, `block`, `blocks`,
/// `pictures`, `elapsed_seconds`, and while rendering `pictures_per_second` and `eta_seconds`.
std::unique_ptr<FilmObserver> make_progress(ProgressStyle style);

/// Speed and time left, from the blocks that were finished while one watched.
class RenderPace {
 public:
  void begin(const FilmProgress& so_far);
  double pictures_per_second(const FilmProgress& so_far) const;
  double seconds_left(const FilmProgress& so_far) const;

 private:
  using Clock = std::chrono::steady_clock;
  double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  Clock::time_point start_ = Clock::now();
  FilmProgress first_;
};

/// 83 seconds are 1:23; one hour is 1:00:00.
std::string clock_text(double seconds);

}  // namespace flashblock
