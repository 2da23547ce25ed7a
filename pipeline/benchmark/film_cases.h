// Whole films, and the stages around the transformer.
#pragma once

#include <memory>

#include "pipeline/benchmark/bench_context.h"
#include "pipeline/benchmark/drawn_pictures.h"

namespace flashblock {

/// What films are decoded by and encoded from.
struct BenchPictures {
  std::shared_ptr<LatentDecoder> full, small;  ///< small may be null: it is left out
  std::shared_ptr<const DrawnPictures> drawn;  ///< null: what the decoder makes is encoded
};

/// The text encoder, the decoders, the encoder. False if `stop` was requested.
bool measure_stages(const BenchContext& bench, const BenchPictures& pictures, FilmBenchmark& result);

/// Films of every kind. False if `stop` was requested.
bool measure_films(const BenchContext& bench, const BenchPictures& pictures, WindowTimes& result);

}  // namespace flashblock
