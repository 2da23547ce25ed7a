// Times of one frame block in the middle of a video: its attention and the passes of the transformer.
#pragma once

#include "analysis/bench_context.h"

namespace flashblock {

/// Attention only; the transformer, as a whole and in parts. False if `stop` was requested.
bool measure_attention(const BenchContext& bench, WindowTimes& result);
bool measure_transformer(const BenchContext& bench, WindowTimes& result);

}  // namespace flashblock
