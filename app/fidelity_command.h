// `flashblock analyze fidelity`.
#pragma once

#include "app/analyze_options.h"

namespace flashblock {

/// Renders, measures and writes the page, the JSON and the side-by-side video; returns the program's exit status.
/// Throws: Error.
int run_fidelity(const FidelityRequest& request);

}  // namespace flashblock
