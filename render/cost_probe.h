// Runs one transformer layer and the decoder, with synthetic weights, on small frames, and extrapolates their time and
// memory to the whole model and frame.
#pragma once

#include <cstdint>

#include "pipeline/loaded_model.h"
#include "render/render_setup.h"

namespace flashblock {

/// When tensors are freed, the C library keeps the memory of smaller ones and returns that of larger ones to the
/// system. Source: mallopt(3), M_MMAP_THRESHOLD: its dynamic limit.
inline constexpr int64_t kKeptTensorBytes = 32 << 20;

/// At the video's own frame size, extrapolated from two smaller ones. Memory is that of tensors, on the model's device:
/// every tensor grows linearly with the frame, so two sizes determine it.
struct CostProbe {
  double denoise_seconds = 0;       ///< per frame block with a full window: all its passes, through all layers
  int64_t layer_state_bytes = 0;    ///< keys, values and external attention of one layer
  int64_t denoise_bytes = 0;        ///< peak of one pass beside weights and state
  int64_t denoise_small_bytes = 0;  ///< the same of tensors below kKeptTensorBytes
  double decode_seconds = 0;        ///< per frame block
  int decoder_parts = 1;            ///< LatentDecoder::parts()
  int64_t decoder_bytes = 0;        ///< weights of the decoder, as it keeps them
  int64_t decoder_load_bytes = 0;   ///< peak while they are read
  int64_t decoder_state_bytes = 0;
  int64_t decode_bytes = 0;        ///< peak of decoding beside weights and state, the frames included
  int64_t decode_small_bytes = 0;  ///< the same of tensors below kKeptTensorBytes
};

/// Takes some seconds and the memory of one layer and the decoder. Reads the shapes of weights only.
/// Throws: WeightsError for files that do not fit together.
CostProbe probe_cost(const RenderSetup& setup, const LoadedModel& model);

}  // namespace flashblock
