#include "analysis/benchmark.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "analysis/block_cases.h"
#include "analysis/synthetic_model.h"
#include "analysis/video_cases.h"
#include "core/check.h"
#include "core/error.h"
#include "pipeline/render_line.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

/// The two decoders: the model's own, and one with random weights for the other.
BenchFrames load_decoders(const BenchContext& bench, VideoBenchmark& result) {
  LoadedModel& model = bench.model;
  const auto store = model.open_vae();
  const bool small = !store->contains("decoder.conv1.weight");
  const int64_t channels = model.transformer_config().out_channels;
  const auto other = small ? random_wan_vae(channels, /*width=*/0, model.device(), model.dtype())
                           : random_taehv(channels, model.device(), model.dtype());
  const std::shared_ptr<LatentDecoder> synthetic =
      load_latent_decoder(*other, model.device(), model.dtype(), model.options().decoder);
  BenchFrames frames{.full = small ? synthetic : model.decoder(), .small = small ? model.decoder() : synthetic};
  result.full_vae = (small ? other : store)->path().filename().string();
  result.small_vae = (small ? store : other)->path().filename().string();
  if (!bench.options.small_vae) frames.small.reset();
  if (bench.options.drawn_frames)
    frames.drawn =
        std::make_shared<DrawnFrames>(bench.setup.config.height, bench.setup.config.width, bench.block_frames());
  return frames;
}

RenderSetup with_window(RenderSetup setup, const BenchmarkWindow& window) {
  setup.config.model.recipe.window_frames = window.frames;
  setup.config.model.recipe.sink_frames = window.sink_frames;
  return setup;
}

bool measure_window(const BenchContext& bench, const BenchFrames& frames, VideoBenchmark& result) {
  WindowTimes times{.window = bench.window};
  {
    const StageScope as_in_a_render(bench.device());
    if (!measure_attention(bench, times) || !measure_transformer(bench, times)) return false;
  }
  if (bench.options.videos && !measure_videos(bench, frames, times)) return false;
  result.windows.push_back(std::move(times));
  return true;
}

}  // namespace

std::vector<NamedAttention> benchmark_modes(const AttentionConfig& attention) {
  if (attention.mode == AttentionConfig::Mode::kExact) {
    throw ConfigError(
        "attention.mode is exact, but the benchmark compares exact with reused attention; attention.refresh chooses "
        "the policy");
  }
  AttentionConfig exact = attention;
  exact.mode = AttentionConfig::Mode::kExact;
  std::vector<NamedAttention> modes = {{.name = to_string(exact.mode), .attention = exact},
                                       {.name = to_string(attention.refresh), .attention = attention}};
  if (attention.refresh != "first_pass") {
    const AttentionConfig first{.refresh = "first_pass",
                                .correction = attention.correction,
                                .internal = attention.internal,
                                .external = attention.external,
                                .kv_cache = attention.kv_cache};
    modes.push_back({.name = to_string(first.refresh), .attention = first});
  }
  return modes;
}

double median(std::vector<double> values) {
  FB_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double percentile(std::vector<double> values, double share) {
  FB_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  return values[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

double median_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators) {
  FB_CHECK(numerators.size() == denominators.size());
  std::vector<double> ratios;
  for (size_t i = 0; i < numerators.size(); ++i) ratios.push_back(numerators[i] / denominators[i]);
  return median(ratios);
}

std::optional<VideoBenchmark> run_benchmark(const RenderSetup& setup, LoadedModel& model,
                                            const BenchmarkOptions& options, const std::stop_token& stop) {
  const c10::InferenceMode no_gradients;
  VideoBenchmark result{.modes = benchmark_modes(setup.config.attention),
                        .passes = setup.config.model.recipe.denoising_passes(),
                        .threads = threads_per_stage(model.device())};
  if (!options.exact) result.modes.erase(result.modes.begin());
  {
    const StageScope as_in_a_render(model.device());
    result.ceilings = measure_ceilings(model.device(), model.dtype());
  }
  BenchFrames stages;
  for (const BenchmarkWindow& window : options.windows) {
    const RenderSetup its_setup = with_window(setup, window);
    const int64_t frames = window.frames < 0 ? setup.plan.latent_frames() : window.frames;
    const BenchContext bench{.setup = its_setup,
                             .model = model,
                             .options = options,
                             .modes = result.modes,
                             .stop = stop,
                             .window = {.frames = frames, .sink_frames = window.sink_frames},
                             .passes = result.passes,
                             .ceilings = result.ceilings};
    if (!stages.full) {
      stages = load_decoders(bench, result);
      if (!measure_stages(bench, stages, result)) return {};
    }
    if (!measure_window(bench, stages, result)) return {};
  }
  return result;
}

}  // namespace flashblock
