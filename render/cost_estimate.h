// Expected time, memory and disk space of a video, estimated without reading its weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/loaded_model.h"
#include "render/cost_probe.h"
#include "render/render_setup.h"

namespace flashblock {

/// One entry of the sum.
struct MemoryPart {
  std::string name;
  int64_t bytes = 0;
};

/// Memory of one GPU.
struct DeviceMemory {
  std::string name;               ///< such as "cuda:1"
  std::vector<MemoryPart> parts;  ///< while the video is rendered
  int64_t bytes = 0;              ///< peak: while the model is loaded or while the video is rendered
};

struct MemoryEstimate {
  std::vector<MemoryPart> host;       ///< while the video is rendered; of processes on the CPU, tensors too
  std::vector<DeviceMemory> devices;  ///< GPUs, each once; none on the CPU
  int64_t host_bytes = 0;             ///< peak: while prompts are encoded or while it is rendered
};

struct CostEstimate {
  double seconds = 0;      ///< to render with a loaded model, without encoding the prompts
  MemoryEstimate memory;   ///< of the whole run
  int64_t disk_bytes = 0;  ///< of segments and video together
};

/// Seconds per frame block while denoising and decoding overlap: those of the slowest stage, or of all of them on fewer
/// cores than stages.
double overlapped_seconds(const CostProbe& probe, at::Device device, at::Device decoder_device);

/// Runs one layer and the decoder, with synthetic weights, on a small frame (cost_probe.h), and scales the result up.
/// Of several processes each is taken to have the largest share of the heads; what they send takes no time here.
/// Throws: WeightsError, DeviceError.
CostEstimate estimate_cost(const RenderSetup& setup, const LoadedModel& model);

}  // namespace flashblock
