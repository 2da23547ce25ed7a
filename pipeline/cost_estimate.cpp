#include "pipeline/cost_estimate.h"

#include <algorithm>

#include "core/memory_meter.h"
#include "media/film_writer.h"
#include "pipeline/cost_probe.h"
#include "pipeline/thread_share.h"

namespace flashblock {

CostEstimate estimate_cost(const FilmSetup& setup, const LoadedModel& model) {
  const int64_t program_bytes = memory_bytes();
  const CostProbe probe = probe_cost(setup, model);
  const double both = probe.denoise_seconds + probe.decode_seconds;
  double per_block = both;
  if (setup.config.overlap) {
    const bool halves = ThreadShare::decoder_in_halves(model.device(), ThreadShare::of_stage(model.device()));
    const int cores = std::clamp(at::get_num_threads(), 1, 3);
    per_block = halves ? std::max({probe.denoise_seconds, probe.decode_seconds / 2, both / cores})
                       : std::max(probe.denoise_seconds, probe.decode_seconds);
  }
  const FilmFormat format{.width = setup.config.width,
                          .height = setup.config.height,
                          .fps = setup.config.fps,
                          .encoder = setup.config.encoder};
  return {.seconds = per_block * static_cast<double>(setup.plan.blocks + 1),  // one more until the last is written
          .memory = estimate_memory(setup, model, probe, program_bytes),
          .disk_bytes = estimated_bytes(format, setup.plan.pictures)};
}

}  // namespace flashblock
