#include "pipeline/film_benchmark.h"

#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "attention/block_attention.h"
#include "core/check.h"
#include "media/film_writer.h"
#include "models/transformer_state.h"
#include "pipeline/device_stream.h"
#include "pipeline/noise_source.h"
#include "pipeline/render_film.h"
#include "pipeline/render_session.h"
#include "pipeline/thread_share.h"

namespace flashblock {
namespace {

/// Any noise level: time does not depend on it.
constexpr double kTimestep = 500;

/// What both ways of attention share.
struct Bench {
  const FilmSetup& setup;
  LoadedModel& model;
  const BenchmarkOptions& options;
  const std::stop_token& stop;
  int64_t window_frames, passes;

  const Recipe& recipe() const { return setup.config.model.recipe; }
  at::TensorOptions tensor() const { return at::TensorOptions().device(model.device()).dtype(model.dtype()); }

  AttentionConfig attention(AttentionConfig::Mode mode) const {
    AttentionConfig config = setup.config.attention;
    config.mode = mode;
    return config;
  }

  at::Tensor text() const {
    const TransformerConfig& config = model.transformer_config();
    return at::randn({1, config.text_len, config.text_dim}, tensor());
  }

  std::vector<Pass> block_passes() const {
    std::vector<Pass> all;
    for (int64_t step = 0; step < passes; ++step) all.push_back(Pass::denoise(step));
    all.push_back(Pass::clean());
    return all;
  }

  template <typename Work>
  double seconds_of(const Work& work) const {
    synchronize(model.device());
    const auto start = std::chrono::steady_clock::now();
    work();
    synchronize(model.device());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
};

/// Self-attention of one layer, its window full. All layers cost the same.
class AttentionCase {
 public:
  AttentionCase(const Bench& bench, AttentionConfig::Mode mode)
      : bench_(bench),
        config_(bench.attention(mode)),
        cache_({.tokens_per_frame = bench.setup.geometry.tokens_per_frame(),
                .frames_per_block = bench.recipe().frames_per_block,
                .window_frames = bench.window_frames,
                .sink_frames = bench.recipe().sink_frames},
               1, transformer().heads, transformer().head_dim(), bench.model.device(), bench.model.dtype()) {
    const int64_t tokens = bench.setup.geometry.tokens_per_frame() * bench.recipe().frames_per_block;
    q_ = at::randn({1, tokens, transformer().heads, transformer().head_dim()}, bench.tensor());
    while (cache_.past_frames() + bench.recipe().frames_per_block < bench.window_frames) {
      stage();
      cache_.commit();
    }
    stage();
  }

  /// Seconds of one frame block in all layers. In the clean pass the last layer computes none.
  double block() {
    const int64_t layers = transformer().layers;
    double seconds = 0;
    for (const Pass& pass : bench_.block_passes()) {
      const double one = bench_.seconds_of([&] { block_attention(q_, cache_, external_, config_, pass); });
      seconds += one * static_cast<double>(pass.kind == Pass::Kind::kClean ? layers - 1 : layers);
    }
    external_.forget();
    return seconds;
  }

 private:
  const TransformerConfig& transformer() const { return bench_.model.transformer_config(); }
  void stage() {
    const KeyRange staged = cache_.stage(bench_.recipe().frames_per_block);
    staged.keys.copy_(at::randn(staged.keys.sizes(), bench_.tensor()));
    staged.values.copy_(at::randn(staged.values.sizes(), bench_.tensor()));
  }

  const Bench& bench_;
  AttentionConfig config_;
  KvCache cache_;
  BlockExternalCache external_;
  at::Tensor q_;
};

/// The transformer, its window full.
class TransformerCase {
 public:
  TransformerCase(const Bench& bench, AttentionConfig::Mode mode)
      : bench_(bench),
        transformer_(bench.model.transformer()),
        state_(transformer_->config(),
               {.geometry = bench.setup.geometry,
                .frames_per_block = bench.recipe().frames_per_block,
                .window_frames = bench.window_frames,
                .sink_frames = bench.recipe().sink_frames,
                .max_frames = bench.window_frames + (bench.options.rounds + 2) * bench.recipe().frames_per_block,
                .attention = bench.attention(mode)},
               bench.model.device(), bench.model.dtype()) {
    const VideoGeometry& geometry = bench.setup.geometry;
    latents_ = at::randn({1, bench.recipe().frames_per_block, transformer_->config().in_channels,
                          geometry.latent_height(), geometry.latent_width()},
                         bench.tensor());
    transformer_->set_prompt(state_, bench.text());
    while (state_.next_frame() < bench.window_frames) run(Pass::clean());
  }

  /// Adds the times of one frame block to `times`, by pass.
  void block(std::map<std::string, std::vector<double>>& times) {
    double whole = 0;
    std::vector<double> later;
    for (const Pass& pass : bench_.block_passes()) {
      const double one = bench_.seconds_of([&] { run(pass); });
      whole += one;
      if (pass.kind == Pass::Kind::kClean)
        times["clean pass"].push_back(one);
      else if (pass.step_index == 0)
        times["first pass"].push_back(one);
      else
        later.push_back(one);
    }
    if (!later.empty()) times["later pass"].push_back(median(later));
    times["frame block"].push_back(whole);
  }

 private:
  void run(const Pass& pass) { transformer_->forward(latents_, kTimestep, state_.next_frame(), pass, state_); }

  const Bench& bench_;
  std::shared_ptr<const VideoTransformer> transformer_;
  TransformerState state_;
  at::Tensor latents_;
};

/// Encodes a film and puts its pieces on disk, in a folder that goes with the sink.
class ScratchFilm : public FrameSink {
 public:
  explicit ScratchFilm(const Bench& bench)
      : writer_(bench.options.scratch / "benchmark.mp4",
                {.width = bench.setup.config.width,
                 .height = bench.setup.config.height,
                 .fps = bench.setup.config.fps,
                 .encoder = bench.setup.config.encoder},
                ExistingFilm::kReplace, bench.setup.plan.pictures) {}
  ~ScratchFilm() override { writer_.remove_parts(); }

  void write(const RenderedBlock& block) override { writer_.write(block.rgb); }

 private:
  FilmWriter writer_;
};

/// Whole films, one after another.
class FilmCase {
 public:
  FilmCase(const Bench& bench, AttentionConfig::Mode mode)
      : bench_(bench),
        session_(bench.model.transformer(), bench.model.decoder(), options(bench, mode), profile_),
        inputs_{.prompts = {{.embedding = bench.text()}}, .noise = std::make_shared<SeededNoise>(1)} {}

  /// Adds the times of one film to `times`, by stage; false if it was stopped.
  bool film(std::map<std::string, std::vector<double>>& times) {
    std::map<std::string, double> before;
    for (const StageTime& stage : profile_.stages()) before[stage.name] = stage.seconds;
    ScratchFilm sink(bench_);
    times["film"].push_back(
        bench_.seconds_of([&] { counts_ = session_.render(bench_.setup.plan, inputs_, sink, bench_.stop); }));
    for (const StageTime& stage : profile_.stages()) {
      times["film: " + stage.name].push_back(stage.seconds - before[stage.name]);
    }
    return counts_.blocks_written == bench_.setup.plan.blocks;
  }

  double external_share() const {
    const TransformerCounters& work = counts_.transformer;
    const int64_t all = work.external_computed + work.external_reused;
    return all == 0 ? 1 : static_cast<double>(work.external_computed) / static_cast<double>(all);
  }

 private:
  static SessionOptions options(const Bench& bench, AttentionConfig::Mode mode) {
    SessionOptions options = session_options(bench.setup, bench.model);
    options.attention = bench.attention(mode);
    options.recipe.guidance_scale = 1;
    options.keep_pixels = false;
    return options;
  }

  const Bench& bench_;
  Profile profile_;
  RenderSession session_;
  FilmInputs inputs_;
  RenderCounts counts_;
};

using Times = std::map<std::string, std::vector<double>>;

void append(FilmBenchmark& result, const std::vector<std::string>& order, const Times& exact, const Times& reused) {
  for (const std::string& work : order) {
    if (exact.contains(work)) result.times.push_back({work, exact.at(work), reused.at(work)});
  }
}

/// `run(mode case, times)` for exact and reused in turn, after one run of each that is not counted.
template <typename Case, typename Run>
bool take_turns(const Bench& bench, Case& exact, Case& reused, Times& exact_times, Times& reused_times,
                const Run& run) {
  Times warm_up;
  for (int64_t round = -1; round < bench.options.rounds; ++round) {
    if (bench.stop.stop_requested()) return false;
    if (!run(exact, round < 0 ? warm_up : exact_times) || !run(reused, round < 0 ? warm_up : reused_times))
      return false;
  }
  return true;
}

template <typename Case, typename Run>
bool measure(const Bench& bench, FilmBenchmark& result, const std::vector<std::string>& order, Case& exact,
             Case& reused, const Run& run) {
  Times exact_times, reused_times;
  if (!take_turns(bench, exact, reused, exact_times, reused_times, run)) return false;
  append(result, order, exact_times, reused_times);
  return true;
}

bool measure_attention(const Bench& bench, FilmBenchmark& result) {
  AttentionCase exact(bench, AttentionConfig::Mode::kExact), reused(bench, AttentionConfig::Mode::kFlashblock);
  return measure(bench, result, {"attention"}, exact, reused, [](AttentionCase& which, Times& times) {
    times["attention"].push_back(which.block());
    return true;
  });
}

bool measure_transformer(const Bench& bench, FilmBenchmark& result) {
  TransformerCase exact(bench, AttentionConfig::Mode::kExact), reused(bench, AttentionConfig::Mode::kFlashblock);
  return measure(bench, result, {"first pass", "later pass", "clean pass", "frame block"}, exact, reused,
                 [](TransformerCase& which, Times& times) {
                   which.block(times);
                   return true;
                 });
}

bool measure_film(const Bench& bench, FilmBenchmark& result) {
  FilmCase exact(bench, AttentionConfig::Mode::kExact), reused(bench, AttentionConfig::Mode::kFlashblock);
  const bool whole = measure(bench, result, {"film", "film: denoise", "film: remember", "film: decode", "film: write"},
                             exact, reused, [](FilmCase& which, Times& times) { return which.film(times); });
  result.external_share = reused.external_share();
  return whole;
}

}  // namespace

double median(std::vector<double> values) {
  FB_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double median_ratio(const PairedTimes& times) {
  std::vector<double> ratios;
  for (size_t i = 0; i < times.exact.size(); ++i) ratios.push_back(times.exact[i] / times.reused[i]);
  return median(ratios);
}

std::optional<FilmBenchmark> run_benchmark(const FilmSetup& setup, LoadedModel& model, const BenchmarkOptions& options,
                                           const std::stop_token& stop) {
  const c10::InferenceMode no_gradients;
  const Recipe& recipe = setup.config.model.recipe;
  const Bench bench{.setup = setup,
                    .model = model,
                    .options = options,
                    .stop = stop,
                    .window_frames = recipe.window_frames < 0 ? setup.plan.latent_frames() : recipe.window_frames,
                    .passes = recipe.unipc_steps > 0 ? recipe.unipc_steps : static_cast<int64_t>(recipe.steps.size())};
  const int threads = ThreadShare::of(model.device().is_cpu() ? 2 : 1);
  FilmBenchmark result{.window_frames = bench.window_frames, .passes = bench.passes, .threads = threads};
  {
    const ThreadShare as_in_a_film(threads);
    if (!measure_attention(bench, result) || !measure_transformer(bench, result)) return {};
  }
  if (options.film && !measure_film(bench, result)) return {};
  return result;
}

}  // namespace flashblock
