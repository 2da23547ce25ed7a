// Progress of a render on standard error.
#pragma once

#include <memory>
#include <string>

#include "app/option_group.h"
#include "render/pace.h"
#include "render/render.h"

namespace flashblock {

enum class ProgressStyle {
  kAuto,  ///< a bar on a terminal, otherwise nothing
  kBar,   ///< one line, redrawn
  kJson,  ///< one JSON object per line
  kNone,
};

/// --quiet and --progress of a command that renders; the former means no progress, too.
void add_progress(const OptionGroup& group, bool& quiet, ProgressStyle& style);

/// The observer for a style, writing to standard error. Fields of the JSON objects: `stage`, `block`, `blocks`,
/// `frames`, `elapsed_seconds`, and while rendering `frames_per_second` and `eta_seconds`.
std::unique_ptr<RenderObserver> make_progress(ProgressStyle style);

}  // namespace flashblock
