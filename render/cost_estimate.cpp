#include "render/cost_estimate.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "core/memory_meter.h"
#include "media/video_writer.h"
#include "pipeline/render_line.h"

namespace flashblock {

double overlapped_seconds(const CostProbe& probe, at::Device device) {
  const int decoders = decoder_stages(device, threads_per_stage(device), probe.decoder_parts);
  const double slowest = std::max(probe.denoise_seconds, probe.decode_seconds / decoders);
  if (!device.is_cpu()) return slowest;
  return std::max(slowest,
                  (probe.denoise_seconds + probe.decode_seconds) / std::min(at::get_num_threads(), 1 + decoders));
}

CostEstimate estimate_cost(const RenderSetup& setup, const LoadedModel& model) {
  const int64_t program_bytes = memory_bytes();
  const CostProbe probe = probe_cost(setup, model);
  const double per_block =
      setup.config.overlap ? overlapped_seconds(probe, model.device()) : probe.denoise_seconds + probe.decode_seconds;
  const VideoFormat format{.width = setup.config.width,
                           .height = setup.config.height,
                           .fps = setup.config.fps,
                           .encoder = setup.config.encoder};
  return {.seconds = per_block * static_cast<double>(setup.plan.blocks + 1),  // one more until the last is written
          .memory = estimate_memory(setup, model, probe, program_bytes),
          .disk_bytes = estimated_bytes(format, setup.plan.frames)};
}

}  // namespace flashblock
