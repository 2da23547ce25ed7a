// Figures computed from the times of a benchmark.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analysis/benchmark.h"

namespace flashblock {

/// A named figure with a value for each mode; none where it was not measured.
struct BenchFigure {
  std::string name;
  std::vector<std::optional<double>> values;
};

/// Medians over the videos of a kind of one of their values, by mode. Empty without videos.
std::vector<std::optional<double>> video_medians(const WindowTimes& times, const std::string& kind,
                                                 double (*value)(const VideoRun&));

/// fps of whole videos, `frames` long: `transformer`; `+ full VAE` and `+ small VAE`, until the frames are in host
/// memory; `to disk, full VAE` and `to disk, small VAE`, until the last segment is written.
std::vector<BenchFigure> frame_rates(const WindowTimes& times, int64_t frames);

/// The 99th percentile of the time from frame block to frame block over the median, full window, all videos of a kind.
BenchFigure block_jitter(const WindowTimes& times, const std::string& kind);

/// The speedup of `mode` over exact in a row of WindowTimes::work, the median of the ratios; none if it was not
/// measured.
std::optional<double> exact_over(const std::vector<WorkTimes>& rows, const std::string& work, size_t mode);
/// The same for whole videos of a kind, to disk.
std::optional<double> video_exact_over(const WindowTimes& times, const std::string& kind, size_t mode);

/// The mode that computes the external attention once per block, as in the paper: `first_pass`.
size_t once_per_block(const VideoBenchmark& measured);

}  // namespace flashblock
