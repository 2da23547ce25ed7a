// Expected time, memory and disk space of a video, estimated without reading its weights.
#pragma once

#include <cstdint>

#include "pipeline/loaded_model.h"
#include "render/cost_probe.h"
#include "render/memory_estimate.h"
#include "render/render_setup.h"

namespace flashblock {

struct CostEstimate {
  double seconds = 0;      ///< to render with a loaded model, without encoding the prompts
  MemoryEstimate memory;   ///< of the whole run
  int64_t disk_bytes = 0;  ///< of segments and video together
};

/// Seconds per frame block while denoising and decoding overlap: those of the slowest stage, or of all of them on fewer
/// cores than stages.
double overlapped_seconds(const CostProbe& probe, at::Device device);

/// Runs one layer and the decoder, with synthetic weights, on a small frame (cost_probe.h), and scales the result up.
/// Throws: WeightsError, DeviceError.
CostEstimate estimate_cost(const RenderSetup& setup, const LoadedModel& model);

}  // namespace flashblock
