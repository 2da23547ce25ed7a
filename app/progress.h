// Progress of a render on standard error.
#pragma once

#include <memory>
#include <string>

#include "render/pace.h"
#include "render/render.h"

namespace flashblock {

enum class ProgressStyle {
  kAuto,  ///< a bar on a terminal, otherwise nothing
  kBar,   ///< one line, redrawn
  kJson,  ///< one JSON object per line
  kNone,
};

/// Throws: ConfigError that names the styles.
ProgressStyle parse_progress_style(const std::string& name);

/// The observer for a style, writing to standard error. Fields of the JSON objects: `stage`, `block`, `blocks`,
/// `frames`, `elapsed_seconds`, and while rendering `frames_per_second` and `eta_seconds`.
std::unique_ptr<RenderObserver> make_progress(ProgressStyle style);

}  // namespace flashblock
