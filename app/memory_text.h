// Expected memory, as a dry run and `flashblock info` print it.
#pragma once

#include <cstdint>
#include <string>

#include "render/cost_estimate.h"

namespace flashblock {

/// In millions of bytes, such as "659.8 MB".
std::string megabytes(int64_t bytes);

/// The sums, then a line for each part. Every line begins with `front`.
std::string memory_text(const MemoryEstimate& memory, const std::string& front);

}  // namespace flashblock
