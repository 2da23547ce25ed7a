#include "pipeline/cost_estimate.h"

#include <ATen/ops/zeros.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "media/film_writer.h"
#include "pipeline/render_session.h"

namespace flashblock {
namespace {

using Clock = std::chrono::steady_clock;

/// Takes down when each block arrives.
class ClockSink : public FrameSink {
 public:
  void write(const RenderedBlock&) override { times_.push_back(Clock::now()); }
  double between(size_t earlier, size_t later) const {
    return std::chrono::duration<double>(times_[later] - times_[earlier]).count();
  }
  size_t blocks() const { return times_.size(); }

 private:
  std::vector<Clock::time_point> times_;
};

/// Noise latents that fill the window, so that the blocks after them cost what most blocks of the film cost.
int64_t context_frames(const FilmSetup& setup) {
  constexpr int64_t kEnough = 21;  // latent frames; filling a longer context would take longer than it tells
  const Recipe& recipe = setup.config.model.recipe;
  const int64_t window = recipe.window_frames < 0 ? kEnough : std::min(recipe.window_frames, kEnough);
  const int64_t blocks = std::min(setup.plan.blocks, (window - 1) / recipe.frames_per_block);
  return std::max<int64_t>(blocks, 0) * recipe.frames_per_block;
}

}  // namespace

CostEstimate estimate_cost(const FilmSetup& setup, LoadedModel& model) {
  constexpr int64_t kBlocks = 3;  // the first one warms up, the last two tell
  const TransformerConfig& transformer = model.transformer_config();
  const auto noise = std::make_shared<SeededNoise>(0);
  const int64_t frames = context_frames(setup);
  FilmPlan plan = setup.plan;
  plan.initial_frames = frames;
  plan.blocks = std::min(kBlocks, setup.plan.blocks);
  FilmInputs inputs{.noise = noise};
  const at::Tensor no_text = at::zeros({1, transformer.text_len, transformer.text_dim});
  inputs.prompts.push_back({.embedding = no_text});
  if (setup.config.model.recipe.guidance_scale != 1.0) inputs.negative_embedding = no_text;
  if (frames > 0) {
    inputs.initial_latents = noise->noise(
        0, 0, {1, frames, transformer.in_channels, setup.geometry.latent_height(), setup.geometry.latent_width()});
  }
  const SessionOptions options{.geometry = setup.geometry,
                               .recipe = setup.config.model.recipe,
                               .attention = setup.config.attention,
                               .device = model.device(),
                               .dtype = model.dtype(),
                               .overlap = setup.config.overlap ? Overlap::kOn : Overlap::kOff};
  Profile profile;
  RenderSession session(model.transformer(), model.decoder(), options, profile);
  ClockSink sink;
  session.render(plan, inputs, sink);
  const size_t last = sink.blocks() - 1;
  const double per_block = plan.blocks == 1 ? profile.seconds("denoise") + profile.seconds("decode")
                                            : sink.between(last - static_cast<size_t>(plan.blocks) + 1, last) /
                                                  static_cast<double>(plan.blocks - 1);
  const FilmFormat format{.width = setup.config.width,
                          .height = setup.config.height,
                          .fps = setup.config.fps,
                          .encoder = setup.config.encoder};
  return {.seconds = per_block * static_cast<double>(setup.plan.blocks + 1),  // one more until the last is written
          .host_bytes = peak_memory_bytes(),
          .device_bytes = peak_device_memory_bytes(model.device()),
          .disk_bytes = estimated_bytes(format, setup.plan.pictures)};
}

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

int64_t peak_device_memory_bytes(at::Device device) {
  if (device.is_cpu()) return 0;
  const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  return stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
}

}  // namespace flashblock
