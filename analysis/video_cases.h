// Whole videos, and the stages around the transformer.
#pragma once

#include <memory>

#include "analysis/bench_context.h"
#include "analysis/drawn_frames.h"

namespace flashblock {

/// What videos are decoded by and encoded from.
struct BenchFrames {
  std::shared_ptr<LatentDecoder> full, small;  ///< small may be null: it is left out
  std::shared_ptr<const DrawnFrames> drawn;    ///< null: what the decoder makes is encoded
};

/// The text encoder, the decoders, the encoder. False if `stop` was requested.
bool measure_stages(const BenchContext& bench, const BenchFrames& frames, VideoBenchmark& result);

/// Videos of every kind. False if `stop` was requested.
bool measure_videos(const BenchContext& bench, const BenchFrames& frames, WindowTimes& result);

}  // namespace flashblock
