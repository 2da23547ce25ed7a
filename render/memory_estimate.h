// Expected memory of a video, from the sizes of its model and a run of one layer on a small frame.
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

struct MemoryEstimate {
  std::vector<MemoryPart> host;    ///< while the video is rendered; on the CPU, tensors too
  std::vector<MemoryPart> device;  ///< on the GPU; empty on the CPU
  int64_t host_bytes = 0;          ///< peak: while prompts are encoded or while it is rendered
  int64_t device_bytes = 0;
};

/// Adds up the measurements of `probe` and what follows from the sizes of model and video. Reads no weights.
/// `program_bytes`: memory of the program before the probe. Throws: WeightsError.
MemoryEstimate estimate_memory(const RenderSetup& setup, const LoadedModel& model, const CostProbe& probe,
                               int64_t program_bytes);

}  // namespace flashblock
