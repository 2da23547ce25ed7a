#include "analysis/bench_summary.h"

#include <algorithm>

#include "core/check.h"

namespace flashblock {
namespace {

const VideoTimes* videos_of(const WindowTimes& times, const std::string& kind) {
  const auto found = std::find_if(times.videos.begin(), times.videos.end(),
                                  [&](const VideoTimes& videos) { return videos.kind == kind; });
  return found == times.videos.end() ? nullptr : &*found;
}

double whole(const VideoRun& run) { return run.seconds; }
double decoded(const VideoRun& run) { return run.decoded_seconds; }

std::vector<double> seconds_of(const std::vector<VideoRun>& runs) {
  std::vector<double> seconds;
  for (const VideoRun& run : runs) seconds.push_back(run.seconds);
  return seconds;
}

}  // namespace

std::vector<std::optional<double>> video_medians(const WindowTimes& times, const std::string& kind,
                                                 double (*value)(const VideoRun&)) {
  std::vector<std::optional<double>> result;
  const VideoTimes* videos = videos_of(times, kind);
  if (!videos) return result;
  for (const std::vector<VideoRun>& runs : videos->runs) {
    std::vector<double> values;
    for (const VideoRun& run : runs) values.push_back(value(run));
    result.push_back(median(values));
  }
  return result;
}

std::vector<BenchFigure> frame_rates(const WindowTimes& times, int64_t frames) {
  std::vector<BenchFigure> rates = {{"transformer", video_medians(times, "transformer", whole)},
                                    {"+ full VAE", video_medians(times, "full VAE", decoded)},
                                    {"+ small VAE", video_medians(times, "small VAE", decoded)},
                                    {"to disk, full VAE", video_medians(times, "full VAE", whole)},
                                    {"to disk, small VAE", video_medians(times, "small VAE", whole)}};
  for (BenchFigure& rate : rates)
    for (std::optional<double>& value : rate.values) value = static_cast<double>(frames) / *value;
  return rates;
}

BenchFigure block_jitter(const WindowTimes& times, const std::string& kind) {
  BenchFigure jitter{.name = kind};
  const VideoTimes* videos = videos_of(times, kind);
  if (!videos) return jitter;
  for (const std::vector<VideoRun>& runs : videos->runs) {
    std::vector<double> blocks;
    for (const VideoRun& run : runs) blocks.insert(blocks.end(), run.block_seconds.begin(), run.block_seconds.end());
    if (blocks.empty())
      jitter.values.emplace_back();
    else
      jitter.values.emplace_back(percentile(blocks, 0.99) / median(blocks));
  }
  return jitter;
}

std::optional<double> exact_over(const std::vector<WorkTimes>& rows, const std::string& work, size_t mode) {
  for (const WorkTimes& times : rows) {
    if (times.work != work || times.seconds[mode].empty() || times.seconds.front().empty()) continue;
    return median_ratio(times.seconds.front(), times.seconds[mode]);
  }
  return {};
}

std::optional<double> video_exact_over(const WindowTimes& times, const std::string& kind, size_t mode) {
  const VideoTimes* videos = videos_of(times, kind);
  if (!videos) return {};
  return median_ratio(seconds_of(videos->runs.front()), seconds_of(videos->runs[mode]));
}

size_t once_per_block(const VideoBenchmark& measured) {
  for (size_t mode = 0; mode < measured.modes.size(); ++mode)
    if (measured.modes[mode].name == "first_pass") return mode;
  FB_CHECK(false, "benchmark_modes always has it");
  return 0;
}

}  // namespace flashblock
