// One frame block in mid-video: its attention, its passes, its decoding, its encoding.
#pragma once

#include "analysis/bench_context.h"

namespace flashblock {

/// Attention alone, then the transformer, whole and in parts. False if `stop` was requested.
bool measure_attention(const BenchContext& bench, WindowTimes& result);
bool measure_transformer(const BenchContext& bench, WindowTimes& result);

}  // namespace flashblock
