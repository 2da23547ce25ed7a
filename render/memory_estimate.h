// What a video will take in memory, told from the sizes of its model and from trying one layer on a small frame.
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
  std::vector<MemoryPart> host;    ///< what is in memory while the video is rendered; on the CPU, tensors too
  std::vector<MemoryPart> device;  ///< the same of the GPU; empty on the CPU
  int64_t host_bytes = 0;          ///< the most there is at any time: while prompts are encoded or while it is rendered
  int64_t device_bytes = 0;
};

/// Adds up what `probe` measured, scaled to the video's size, with what the sizes of the model and the video say. Reads
/// no weights. `program_bytes` is what the program took before. Throws: WeightsError.
MemoryEstimate estimate_memory(const RenderSetup& setup, const LoadedModel& model, const CostProbe& probe,
                               int64_t program_bytes);

}  // namespace flashblock
