// What a video will take, told without reading its weights.
#pragma once

#include <cstdint>

#include "pipeline/loaded_model.h"
#include "render/cost_probe.h"
#include "render/memory_estimate.h"
#include "render/render_setup.h"

namespace flashblock {

struct CostEstimate {
  double seconds = 0;      ///< to render, the model being loaded; prompts are not encoded for the estimate
  MemoryEstimate memory;   ///< of the whole run
  int64_t disk_bytes = 0;  ///< segments and video side by side
};

/// From one frame block to the next while denoising and decoding overlap: what the slowest stage takes, or all of them
/// on fewer cores than stages.
double overlapped_seconds(const CostProbe& probe, at::Device device);

/// Tries one layer and the decoder, with made-up weights, on a small frame (cost_probe.h), and scales that up.
/// Throws: WeightsError, DeviceError.
CostEstimate estimate_cost(const RenderSetup& setup, const LoadedModel& model);

}  // namespace flashblock
