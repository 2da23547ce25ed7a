#include "pipeline/benchmark/benchmark.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/error.h"
#include "core/weight_store.h"
#include "pipeline/benchmark/block_cases.h"
#include "pipeline/benchmark/film_cases.h"
#include "pipeline/random_model.h"
#include "pipeline/thread_share.h"

namespace flashblock {
namespace {

constexpr int64_t kPublishedVaeWidth = 96;

/// The model's decoder where it is the one wanted, else one with random weights.
BenchPictures load_decoders(const BenchContext& bench, FilmBenchmark& result) {
  LoadedModel& model = bench.model;
  const auto store = model.open_vae();
  const bool small = !store->contains("decoder.conv1.weight");
  const auto other = small ? random_wan_vae(kPublishedVaeWidth, model.device(), model.dtype())
                           : random_taehv(model.device(), model.dtype());
  const std::shared_ptr<LatentDecoder> made_up = load_latent_decoder(*other, model.device(), model.dtype());
  BenchPictures pictures{.full = small ? made_up : model.decoder(), .small = small ? model.decoder() : made_up};
  result.full_vae = (small ? other : store)->path().filename().string();
  result.small_vae = (small ? store : other)->path().filename().string();
  if (!bench.options.small_vae) pictures.small.reset();
  if (bench.options.drawn_pictures)
    pictures.drawn =
        std::make_shared<DrawnPictures>(bench.setup.config.height, bench.setup.config.width, bench.block_pictures());
  return pictures;
}

FilmSetup with_window(FilmSetup setup, const BenchmarkWindow& window) {
  setup.config.model.recipe.window_frames = window.frames;
  setup.config.model.recipe.sink_frames = window.sink_frames;
  return setup;
}

bool measure_window(const BenchContext& bench, const BenchPictures& pictures, FilmBenchmark& result) {
  WindowTimes times{.window = bench.window};
  {
    const ThreadShare as_in_a_film(ThreadShare::of_stage(bench.device()));
    if (!measure_attention(bench, times) || !measure_transformer(bench, times)) return false;
  }
  if (bench.options.films && !measure_films(bench, pictures, times)) return false;
  result.windows.push_back(std::move(times));
  return true;
}

}  // namespace

std::vector<BenchmarkWay> benchmark_ways(const AttentionConfig& attention) {
  if (attention.mode == AttentionConfig::Mode::kExact) {
    throw ConfigError(
        "attention.mode is exact: bench holds exact attention against reused; leave the mode out, and "
        "name the policy with --set attention.refresh=NAME");
  }
  AttentionConfig exact = attention;
  exact.mode = AttentionConfig::Mode::kExact;
  std::vector<BenchmarkWay> ways = {{.name = to_string(exact.mode), .attention = exact},
                                    {.name = to_string(attention.refresh), .attention = attention}};
  if (attention.refresh != RefreshPolicy::kFirstPass) {
    const AttentionConfig first{.refresh = RefreshPolicy::kFirstPass, .correction = attention.correction};
    ways.push_back({.name = to_string(first.refresh), .attention = first});
  }
  return ways;
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

std::optional<FilmBenchmark> run_benchmark(const FilmSetup& setup, LoadedModel& model, const BenchmarkOptions& options,
                                           const std::stop_token& stop) {
  const c10::InferenceMode no_gradients;
  const Recipe& recipe = setup.config.model.recipe;
  FilmBenchmark result{
      .ways = benchmark_ways(setup.config.attention),
      .passes = recipe.unipc_steps > 0 ? recipe.unipc_steps : static_cast<int64_t>(recipe.steps.size()),
      .threads = ThreadShare::of_stage(model.device())};
  BenchPictures pictures;
  for (const BenchmarkWindow& window : options.windows) {
    const FilmSetup its_setup = with_window(setup, window);
    const int64_t frames = window.frames < 0 ? setup.plan.latent_frames() : window.frames;
    const BenchContext bench{.setup = its_setup,
                             .model = model,
                             .options = options,
                             .ways = result.ways,
                             .stop = stop,
                             .window = {.frames = frames, .sink_frames = window.sink_frames},
                             .passes = result.passes};
    if (!pictures.full) {
      pictures = load_decoders(bench, result);
      if (!measure_stages(bench, pictures, result)) return {};
    }
    if (!measure_window(bench, pictures, result)) return {};
  }
  return result;
}

}  // namespace flashblock
