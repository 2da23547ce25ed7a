#include "pipeline/cost_estimate.h"

#include <algorithm>

#include "core/memory_meter.h"
#include "media/film_writer.h"
#include "pipeline/cost_probe.h"

namespace flashblock {

CostEstimate estimate_cost(const FilmSetup& setup, const LoadedModel& model) {
  const int64_t program_bytes = memory_bytes();
  const CostProbe probe = probe_cost(setup, model);
  const double per_block = setup.config.overlap ? std::max(probe.denoise_seconds, probe.decode_seconds)
                                                : probe.denoise_seconds + probe.decode_seconds;
  const FilmFormat format{.width = setup.config.width,
                          .height = setup.config.height,
                          .fps = setup.config.fps,
                          .encoder = setup.config.encoder};
  return {.seconds = per_block * static_cast<double>(setup.plan.blocks + 1),  // one more until the last is written
          .memory = estimate_memory(setup, model, probe, program_bytes),
          .disk_bytes = estimated_bytes(format, setup.plan.pictures)};
}

}  // namespace flashblock
