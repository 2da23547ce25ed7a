#include "app/bench_summary.h"

#include <algorithm>

#include "core/check.h"

namespace flashblock {
namespace {

const FilmTimes* films_of(const WindowTimes& times, const std::string& kind) {
  const auto found =
      std::find_if(times.films.begin(), times.films.end(), [&](const FilmTimes& films) { return films.kind == kind; });
  return found == times.films.end() ? nullptr : &*found;
}

double whole(const FilmRun& run) { return run.seconds; }
double decoded(const FilmRun& run) { return run.decoded_seconds; }

std::vector<double> seconds_of(const std::vector<FilmRun>& runs) {
  std::vector<double> seconds;
  for (const FilmRun& run : runs) seconds.push_back(run.seconds);
  return seconds;
}

}  // namespace

std::vector<std::optional<double>> film_medians(const WindowTimes& times, const std::string& kind,
                                                double (*value)(const FilmRun&)) {
  std::vector<std::optional<double>> result;
  const FilmTimes* films = films_of(times, kind);
  if (!films) return result;
  for (const std::vector<FilmRun>& runs : films->runs) {
    std::vector<double> values;
    for (const FilmRun& run : runs) values.push_back(value(run));
    result.push_back(median(values));
  }
  return result;
}

std::vector<BenchFigure> picture_rates(const WindowTimes& times, int64_t pictures) {
  std::vector<BenchFigure> rates = {{"transformer", film_medians(times, "transformer", whole)},
                                    {"+ full VAE", film_medians(times, "full VAE", decoded)},
                                    {"+ small VAE", film_medians(times, "small VAE", decoded)},
                                    {"to disk, full VAE", film_medians(times, "full VAE", whole)},
                                    {"to disk, small VAE", film_medians(times, "small VAE", whole)}};
  for (BenchFigure& rate : rates)
    for (std::optional<double>& value : rate.values) value = static_cast<double>(pictures) / *value;
  return rates;
}

BenchFigure block_jitter(const WindowTimes& times, const std::string& kind) {
  BenchFigure jitter{.name = kind};
  const FilmTimes* films = films_of(times, kind);
  if (!films) return jitter;
  for (const std::vector<FilmRun>& runs : films->runs) {
    std::vector<double> blocks;
    for (const FilmRun& run : runs) blocks.insert(blocks.end(), run.block_seconds.begin(), run.block_seconds.end());
    if (blocks.empty())
      jitter.values.emplace_back();
    else
      jitter.values.emplace_back(percentile(blocks, 0.99) / median(blocks));
  }
  return jitter;
}

std::optional<double> exact_over(const std::vector<WorkTimes>& rows, const std::string& work, size_t way) {
  for (const WorkTimes& times : rows) {
    if (times.work != work || times.seconds[way].empty() || times.seconds.front().empty()) continue;
    return median_ratio(times.seconds.front(), times.seconds[way]);
  }
  return {};
}

std::optional<double> film_exact_over(const WindowTimes& times, const std::string& kind, size_t way) {
  const FilmTimes* films = films_of(times, kind);
  if (!films) return {};
  return median_ratio(seconds_of(films->runs.front()), seconds_of(films->runs[way]));
}

size_t once_a_block(const FilmBenchmark& measured) {
  for (size_t way = 0; way < measured.ways.size(); ++way)
    if (measured.ways[way].name == to_string(RefreshPolicy::kFirstPass)) return way;
  FB_CHECK(false, "benchmark_ways always has it");
  return 0;
}

}  // namespace flashblock
