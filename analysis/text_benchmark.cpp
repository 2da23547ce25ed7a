#include "analysis/text_benchmark.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "analysis/benchmark.h"
#include "analysis/text_passes.h"
#include "language/token_sampler.h"
#include "pipeline/render_line.h"

namespace flashblock {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kLongestPrefill = 4096;

using TextClock = std::chrono::steady_clock;

double elapsed(TextClock::time_point start) { return std::chrono::duration<double>(TextClock::now() - start).count(); }

/// What a copy within the device's memory reaches: the best of a few.
double copy_speed(at::Device device) {
  const int64_t bytes = device.is_cpu() ? int64_t(256) << 20 : int64_t(2) << 30;
  const at::Tensor from = at::ones({bytes}, at::TensorOptions().device(device).dtype(at::kByte)),
                   to = at::empty_like(from);
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    synchronize(device);
    const auto start = TextClock::now();
    to.copy_(from);
    synchronize(device);
    best = std::max(best, 2 * double(bytes) / elapsed(start));
  }
  return best;
}

/// Commits random keys and values.
void fill_context(LanguageState& state, int64_t layers, int64_t tokens) {
  while (tokens > 0) {
    const int64_t count = std::min(tokens, state.options().prefill_tokens);
    for (int64_t i = 0; i < layers; ++i) {
      const KeyRange staged = state.layer(i).kv.stage(count);
      staged.keys.normal_();
      staged.values.normal_();
    }
    state.commit(count);
    tokens -= count;
  }
}

/// One way to decode one case, its context at hand.
class TextBenchRun {
 public:
  TextBenchRun(const LanguageModel& model, const TextCase& what, const TextBenchmarkOptions& options,
               const AttentionConfig& attention)
      : model_(model),
        what_(what),
        options_(options),
        steps_(options.steps > 0 ? options.steps : what.block_size),
        passes_(model, options.clean_pass),
        state_(model.make_state(
            {.max_tokens = what.context + (options.rounds + 2) * options.blocks * what.block_size,
             .block_size = what.block_size,
             .prefill_tokens = std::max(kPrefillTokens / what.block_size, int64_t(1)) * what.block_size,
             .batch = what.batch,
             .attention = attention})) {
    fill_context(state_, model.config().layers, what.context);
  }

  /// Seconds of the blocks of a run.
  double run() {
    state_.clear_counters();
    synchronize(model_.device());
    const auto start = TextClock::now();
    for (int64_t block = 0; block < options_.blocks; ++block) decode_block();  // each waits for the device
    return elapsed(start);
  }

  LanguageCounters work() const { return state_.counters(); }

 private:
  void decode_block() {
    at::Tensor ids = at::full({what_.batch, what_.block_size}, model_.config().mask_token, at::kLong);
    int64_t known = 0;
    for (int64_t step = 0; known < what_.block_size; ++step) {
      const at::Tensor hidden = passes_.hidden(state_, ids, step);
      const at::Tensor open = hidden.narrow(1, known, what_.block_size - known).flatten(0, 1);
      const SampledTokens sampled = sample_tokens(model_.logits(state_, open), {}, model_.config().mask_token, {});
      const int64_t wanted = std::min(wanted_places(what_.block_size, steps_, step), what_.block_size - known);
      const at::Tensor tokens = at::tensor(sampled.tokens, at::kLong).view({what_.batch, -1});
      ids.narrow(1, known, wanted).copy_(tokens.narrow(1, 0, wanted));
      std::vector<int64_t> places;
      for (int64_t place = known; place < known + wanted; ++place) places.push_back(place);
      state_.count_decoded(places);
      known += wanted;
    }
    passes_.finish(ids);
  }

  const LanguageModel& model_;
  const TextCase& what_;
  const TextBenchmarkOptions& options_;
  int64_t steps_;
  TextPasses passes_;
  LanguageState state_;
};

double first_pass_seconds(const LanguageModel& model, const TextCase& what, const AttentionConfig& attention) {
  const at::Tensor prompt = at::zeros({1, what.context}, at::kLong);
  const at::Tensor block = at::full({1, what.block_size}, model.config().mask_token, at::kLong);
  LanguageState state = model.make_state(
      {.max_tokens = what.context + what.block_size, .block_size = what.block_size, .attention = attention});
  synchronize(model.device());
  const auto start = TextClock::now();
  model.prefill(state, prompt);
  const at::Tensor hidden = model.pass(state, block, Pass::denoise(0));
  sample_tokens(model.logits(state, hidden[0]), {}, model.config().mask_token, {});
  return elapsed(start);
}

std::string table_line(const char* format, auto... values) {
  char text[160];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

/// Tokens per second that reading the bytes of a run alone would allow.
double bound(const TextBenchmark& measured, const TextCaseTimes& times, const TextModeTimes& mode) {
  return double(times.tokens) * measured.bytes_per_second / double(mode.work.weight_bytes + mode.work.cache_bytes);
}

double speedup(const TextCaseTimes& times, const TextModeTimes& mode) {
  return median_ratio(times.modes.front().seconds, mode.seconds);
}

}  // namespace

std::optional<TextBenchmark> run_text_benchmark(const LanguageModel& model, const TextBenchmarkOptions& options,
                                                const std::stop_token& stop) {
  const c10::InferenceMode inference;
  TextBenchmark result{.modes = options.modes};
  for (const TextCase& what : options.cases) {
    TextCaseTimes times{.what = what, .tokens = options.blocks * what.block_size * what.batch};
    std::vector<TextBenchRun> runs;
    runs.reserve(options.modes.size());
    for (const NamedAttention& mode : options.modes) runs.emplace_back(model, what, options, mode.attention);
    times.modes.resize(runs.size());
    for (int64_t round = -1; round < options.rounds; ++round) {
      for (size_t i = 0; i < runs.size(); ++i) {
        if (stop.stop_requested()) return {};
        const double seconds = runs[i].run();
        if (round < 0) continue;
        times.modes[i].seconds.push_back(seconds);
        times.modes[i].work = runs[i].work();
      }
      if (what.batch > 1 || what.context > kLongestPrefill || what.context < what.block_size) continue;
      const double seconds = first_pass_seconds(model, what, options.modes.front().attention);
      if (round >= 0) times.first_pass_seconds.push_back(seconds);
    }
    result.cases.push_back(std::move(times));
  }
  result.bytes_per_second = copy_speed(model.device());
  return result;
}

std::string text_bench_table(const TextBenchmark& measured) {
  std::ostringstream table;
  table << table_line("memory: %.0f GB/s copied\n\n", measured.bytes_per_second / 1e9)
        << table_line("%8s %6s %6s  %-24s %10s %9s %10s %9s\n", "context", "batch", "block", "attention", "tokens/s",
                      "speedup", "bound", "ms/pass");
  for (const TextCaseTimes& times : measured.cases) {
    for (size_t i = 0; i < times.modes.size(); ++i) {
      const TextModeTimes& mode = times.modes[i];
      const double seconds = median(mode.seconds);
      table << table_line("%8lld %6lld %6lld  %-24s %10.1f %8.2fx %10.1f %9.2f\n",
                          static_cast<long long>(times.what.context), static_cast<long long>(times.what.batch),
                          static_cast<long long>(times.what.block_size), measured.modes[i].name.c_str(),
                          double(times.tokens) / seconds, speedup(times, mode), bound(measured, times, mode),
                          1000 * seconds / double(mode.work.passes));
    }
    if (!times.first_pass_seconds.empty())
      table << table_line("%24s%-24s %10.1f ms\n", "", "prompt and first pass",
                          1000 * median(times.first_pass_seconds));
  }
  return table.str();
}

ordered_json text_bench_json(const TextBenchmark& measured) {
  ordered_json cases = ordered_json::array();
  for (const TextCaseTimes& times : measured.cases) {
    ordered_json modes = ordered_json::array();
    for (size_t i = 0; i < times.modes.size(); ++i) {
      const TextModeTimes& mode = times.modes[i];
      modes.push_back({{"attention", measured.modes[i].name},
                       {"seconds", mode.seconds},
                       {"tokens_per_second", double(times.tokens) / median(mode.seconds)},
                       {"speedup", speedup(times, mode)},
                       {"bound_tokens_per_second", bound(measured, times, mode)},
                       {"passes", mode.work.passes},
                       {"weight_bytes", mode.work.weight_bytes},
                       {"cache_bytes", mode.work.cache_bytes},
                       {"external_computed", mode.work.external_computed},
                       {"external_reused", mode.work.external_reused}});
    }
    cases.push_back({{"context", times.what.context},
                     {"batch", times.what.batch},
                     {"block_size", times.what.block_size},
                     {"tokens", times.tokens},
                     {"first_pass_seconds", times.first_pass_seconds},
                     {"modes", std::move(modes)}});
  }
  return {{"copy_bytes_per_second", measured.bytes_per_second}, {"cases", std::move(cases)}};
}

}  // namespace flashblock
