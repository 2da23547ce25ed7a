// One layer of a transformer and a decoder, with made-up weights, tried on a small frame: what they take in time and
// memory tells what the whole model takes on the whole frame.
#pragma once

#include <cstdint>

#include "pipeline/loaded_model.h"
#include "render/render_setup.h"

namespace flashblock {

/// The C library keeps the memory of smaller tensors when they are freed, and gives that of larger ones back at once.
/// Source: mallopt(3), M_MMAP_THRESHOLD: its dynamic limit.
inline constexpr int64_t kKeptTensorBytes = 32 << 20;

/// Of the video's own frame size, scaled up from the sizes that were tried. Memory is that of tensors, on the model's
/// device: every tensor inside grows in proportion to the frame, so two sizes tell all.
struct CostProbe {
  double denoise_seconds = 0;       ///< a frame block with a full window: all its passes, through all layers
  int64_t layer_state_bytes = 0;    ///< keys, values and external attention of one layer
  int64_t denoise_bytes = 0;        ///< the most that one pass holds beside weights and state
  int64_t denoise_small_bytes = 0;  ///< the same of tensors below kKeptTensorBytes
  double decode_seconds = 0;        ///< a frame block
  int decoder_parts = 1;            ///< LatentDecoder::parts()
  int64_t decoder_bytes = 0;        ///< weights of the decoder, as it keeps them
  int64_t decoder_load_bytes = 0;   ///< the most there is of them while they are read
  int64_t decoder_state_bytes = 0;
  int64_t decode_bytes = 0;        ///< the most that decoding holds beside weights and state, the frames included
  int64_t decode_small_bytes = 0;  ///< the same of tensors below kKeptTensorBytes
};

/// Takes some seconds, and the memory of one layer and the decoder. No weights are read, only their shapes.
/// Throws: WeightsError for files that do not fit together.
CostProbe probe_cost(const RenderSetup& setup, const LoadedModel& model);

}  // namespace flashblock
