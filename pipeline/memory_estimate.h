// What a film will take in memory, told from the sizes of its model and from trying one layer on a small picture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/cost_probe.h"
#include "pipeline/film_setup.h"
#include "pipeline/loaded_model.h"

namespace flashblock {

/// One entry of the sum.
struct MemoryPart {
  std::string name;
  int64_t bytes = 0;
};

struct MemoryEstimate {
  std::vector<MemoryPart> host;    ///< what is in memory while the film is rendered; on the CPU, tensors too
  std::vector<MemoryPart> device;  ///< the same of the GPU; empty on the CPU
  int64_t host_bytes = 0;          ///< the most there is at any time: while prompts are encoded or while it is rendered
  int64_t device_bytes = 0;
};

/// Adds up what `probe` measured, scaled to the film's size, with what the sizes of the model and the film say. Reads
/// no weights. `program_bytes` is what the program took before. Throws: WeightsError.
MemoryEstimate estimate_memory(const FilmSetup& setup, const LoadedModel& model, const CostProbe& probe,
                               int64_t program_bytes);

}  // namespace flashblock
