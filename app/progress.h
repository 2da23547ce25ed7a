// What the user sees while a video is rendered.
#pragma once

#include <memory>
#include <string>

#include "render/pace.h"
#include "render/render.h"

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
/// `frames`, `elapsed_seconds`, and while rendering `frames_per_second` and `eta_seconds`.
std::unique_ptr<RenderObserver> make_progress(ProgressStyle style);

}  // namespace flashblock
