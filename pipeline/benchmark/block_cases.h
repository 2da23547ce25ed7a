// One frame block in mid-film: its attention, its passes, its decoding, its encoding.
#pragma once

#include "pipeline/benchmark/bench_context.h"

namespace flashblock {

/// Attention alone, then the transformer, whole and in parts. False if `stop` was requested.
bool measure_attention(const BenchContext& bench, WindowTimes& result);
bool measure_transformer(const BenchContext& bench, WindowTimes& result);

}  // namespace flashblock
