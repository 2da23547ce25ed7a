// `flashblock analyze redundancy`.
#pragma once

#include "app/analyze_options.h"

namespace flashblock {

/// Renders, measures and writes the page and the JSON; returns the program's exit status. Throws: Error.
int run_redundancy(const RedundancyRequest& request);

}  // namespace flashblock
