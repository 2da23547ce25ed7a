// `flashblock info`, and expected memory as it and a dry run print it.
#pragma once

#include <cstdint>
#include <string>

#include "app/command_line.h"
#include "render/cost_estimate.h"

namespace flashblock {

/// Prints what a model file, a weights file or a folder is; returns the program's exit status, 3 if a part is missing
/// or damaged. Throws: Error.
int run_info(const InfoRequest& request);

/// In millions of bytes, such as "659.8 MB".
std::string megabytes(int64_t bytes);

/// The sums, then a line for each part. Every line begins with `front`.
std::string memory_text(const MemoryEstimate& memory, const std::string& front);

}  // namespace flashblock
