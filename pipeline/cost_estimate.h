// What a film will take, told from its first frame blocks.
#pragma once

#include <cstdint>

#include "pipeline/film_setup.h"
#include "pipeline/loaded_model.h"

namespace flashblock {

struct CostEstimate {
  double seconds = 0;        ///< to render, the model being loaded; prompts are not encoded for the estimate
  int64_t host_bytes = 0;    ///< highest memory of the process
  int64_t device_bytes = 0;  ///< highest memory of tensors on the GPU; 0 on the CPU
  int64_t disk_bytes = 0;    ///< pieces and film side by side
};

/// Loads the model and renders a few frame blocks of noise to nowhere: the first one, and some whose window is full.
/// Throws: WeightsError, DeviceError.
CostEstimate estimate_cost(const FilmSetup& setup, LoadedModel& model);

/// Highest memory of the process so far, in bytes.
int64_t peak_memory_bytes();
/// Highest memory that tensors took on the device so far, in bytes; 0 for the CPU.
int64_t peak_device_memory_bytes(at::Device device);

}  // namespace flashblock
