// Times of whole videos, and of the stages around the transformer.
#pragma once

#include <memory>

#include "analysis/bench_context.h"
#include "analysis/drawn_frames.h"

namespace flashblock {

/// The decoders, and the frames that are encoded.
struct BenchFrames {
  std::shared_ptr<LatentDecoder> full, small;  ///< small: null if it is left out
  std::shared_ptr<const DrawnFrames> drawn;    ///< null: the decoded frames are encoded
};

/// Times the text encoder, the decoders and the video encoder. False if `stop` was requested.
bool measure_stages(const BenchContext& bench, const BenchFrames& frames, VideoBenchmark& result);

/// Times videos of every kind. False if `stop` was requested.
bool measure_videos(const BenchContext& bench, const BenchFrames& frames, WindowTimes& result);

}  // namespace flashblock
