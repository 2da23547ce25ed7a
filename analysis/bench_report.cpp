#include "analysis/bench_report.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "analysis/report_json.h"
#include "core/check.h"
#include "core/device.h"

namespace flashblock {
namespace {

using nlohmann::ordered_json;

constexpr int kNameWidth = 32, kColumn = 21;

/// A named figure with a value for each mode; none where it was not measured.
struct BenchFigure {
  std::string name;
  std::vector<std::optional<double>> values;
};

const VideoTimes* videos_of(const WindowTimes& times, const std::string& kind) {
  const auto found = std::find_if(times.videos.begin(), times.videos.end(),
                                  [&](const VideoTimes& videos) { return videos.kind == kind; });
  return found == times.videos.end() ? nullptr : &*found;
}

double whole(const VideoRun& run) { return run.seconds; }
double decoded(const VideoRun& run) { return run.decoded_seconds; }

std::vector<double> run_seconds(const std::vector<VideoRun>& runs) {
  std::vector<double> seconds(runs.size());
  std::transform(runs.begin(), runs.end(), seconds.begin(), whole);
  return seconds;
}

/// Medians over the videos of a kind of one of their values, by mode. Empty without videos.
std::vector<std::optional<double>> video_medians(const WindowTimes& times, const std::string& kind,
                                                 double (*value)(const VideoRun&)) {
  std::vector<std::optional<double>> result;
  const VideoTimes* videos = videos_of(times, kind);
  if (!videos) return result;
  for (const std::vector<VideoRun>& runs : videos->runs) {
    std::vector<double> values(runs.size());
    std::transform(runs.begin(), runs.end(), values.begin(), value);
    result.push_back(median(values));
  }
  return result;
}

/// fps of whole videos: denoised, until the frames are in host memory, and until the last segment is written.
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

/// The 99th percentile of the time from frame block to frame block over the median, full window, all videos of a kind.
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

/// Whether a mode has a speedup over exact attention: another mode, and exact attention was timed.
bool is_compared(const std::vector<NamedAttention>& modes, size_t mode) {
  return mode > 0 && modes.front().attention.mode == AttentionConfig::Mode::kExact;
}

/// The speedup of `mode` over exact in a row of WindowTimes::work, the median of the ratios.
std::optional<double> exact_over(const std::vector<NamedAttention>& modes, const std::vector<WorkTimes>& rows,
                                 const std::string& work, size_t mode) {
  if (!is_compared(modes, mode)) return {};
  for (const WorkTimes& times : rows) {
    if (times.work != work || times.seconds[mode].empty() || times.seconds.front().empty()) continue;
    return median_ratio(times.seconds.front(), times.seconds[mode]);
  }
  return {};
}

/// The same for whole videos of a kind, to disk.
std::optional<double> video_exact_over(const std::vector<NamedAttention>& modes, const WindowTimes& times,
                                       const std::string& kind, size_t mode) {
  const VideoTimes* videos = videos_of(times, kind);
  if (!videos || !is_compared(modes, mode)) return {};
  return median_ratio(run_seconds(videos->runs.front()), run_seconds(videos->runs[mode]));
}

/// The mode that computes the external attention once per block, as in the paper.
size_t once_per_block(const VideoBenchmark& measured) {
  for (size_t mode = 0; mode < measured.modes.size(); ++mode)
    if (measured.modes[mode].name == "first_pass") return mode;
  FB_CHECK(false, "benchmark_modes always has it");
  return 0;
}

__attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(line, sizeof line, pattern, arguments);
  va_end(arguments);
  return line;
}

/// One line: a name, then for each mode its value and, after reused attention, its speedup over exact.
class Line {
 public:
  explicit Line(const std::string& name) : text_(format("  %-*s", kNameWidth - 2, name.c_str())) {}

  void add(const std::string& value, const std::string& ratio = {}) {
    text_ += format("%*s", kColumn, value.c_str());
    if (modes_++ > 0) text_ += format(" %6s", ratio.c_str());
  }
  std::string take() {
    text_.erase(text_.find_last_not_of(' ') + 1);
    return text_ + "\n";
  }

 private:
  std::string text_;
  int modes_ = 0;
};

std::string milliseconds(double seconds) { return format("%.1f ms", 1e3 * seconds); }

std::string ratio_text(std::optional<double> ratio) { return ratio ? format("%.2fx", *ratio) : ""; }

std::string rows_text(const std::vector<NamedAttention>& modes, const std::vector<WorkTimes>& rows) {
  std::string text;
  for (const WorkTimes& times : rows) {
    if (times.seconds.back().empty()) continue;
    Line line(times.work);
    for (size_t mode = 0; mode < times.seconds.size(); ++mode) {
      const bool measured = !times.seconds[mode].empty();
      const bool stable = measured && median(times.seconds[mode]) > 0;
      line.add(measured ? milliseconds(median(times.seconds[mode])) : "",
               stable ? ratio_text(exact_over(modes, rows, times.work, mode)) : "");
    }
    text += line.take();
  }
  return text;
}

/// Which part of its time a row of a mode would take at the ceilings; none where that is not known.
std::optional<double> share_of_ceiling(const WorkTimes& times, size_t mode) {
  if (mode >= times.least_seconds.size() || times.least_seconds[mode] <= 0 || times.seconds[mode].empty()) return {};
  return times.least_seconds[mode] / median(times.seconds[mode]);
}

std::string ceilings_text(const VideoBenchmark& measured, at::ScalarType dtype) {
  std::string text = format("ceiling, one large product: %.4g TFLOP/s in %s", measured.ceilings.native / 1e12,
                            dtype_name(dtype).c_str());
  if (measured.ceilings.eight_bits > 0) text += format(", %.4g in float8", measured.ceilings.eight_bits / 1e12);
  return text + "\n";
}

std::string shares_text(const std::vector<WorkTimes>& rows) {
  std::string text;
  for (const WorkTimes& times : rows) {
    Line line(times.work);
    bool any = false;
    for (size_t mode = 0; mode < times.seconds.size(); ++mode) {
      const auto share = share_of_ceiling(times, mode);
      line.add(share ? format("%.0f %%", 100 * *share) : "");
      any = any || share;
    }
    if (any) text += line.take();
  }
  return text;
}

std::string figure_text(const BenchFigure& figure, const char* pattern) {
  Line line(figure.name);
  for (const std::optional<double>& value : figure.values)
    line.add(value ? format(pattern, *value) : "");  // NOLINT(*-nonliteral): ours, below
  return figure.values.empty() ? "" : line.take();
}

std::string videos_text(const std::vector<NamedAttention>& modes, const WindowTimes& times, int64_t frames) {
  if (times.videos.empty()) return "";
  std::string text = format("fps, a video of %lld\n", static_cast<long long>(frames));
  for (const BenchFigure& rate : frame_rates(times, frames)) text += figure_text(rate, "%.2f");
  text += "videos\n";
  for (const char* kind : {"transformer", "full VAE", "small VAE"}) {
    Line line(kind);
    const auto seconds = video_medians(times, kind, [](const VideoRun& run) { return run.seconds; });
    if (seconds.empty()) continue;
    for (size_t mode = 0; mode < seconds.size(); ++mode)
      line.add(format("%.2f s", *seconds[mode]), ratio_text(video_exact_over(modes, times, kind, mode)));
    text += line.take();
  }
  BenchFigure pace = block_jitter(times, "transformer");
  pace.name = "block p99/median, transformer";
  text += figure_text(pace, "%.3f");
  for (const char* kind : {"full VAE", "small VAE"}) {
    const std::string with = std::string(", ") + kind;
    const auto first = video_medians(times, kind, [](const VideoRun& run) { return run.first_frame_seconds; });
    const auto growth = video_medians(
        times, kind, [](const VideoRun& run) { return static_cast<double>(run.memory_growth_bytes) / 1e6; });
    text += figure_text({.name = "first frame" + with, .values = first}, "%.3f s");
    pace = block_jitter(times, kind);
    pace.name = "block p99/median" + with;
    text += figure_text(pace, "%.3f");
    text += figure_text({.name = "growth" + with, .values = growth}, "%.1f MB");
    const auto peak = video_medians(
        times, kind, [](const VideoRun& run) { return static_cast<double>(run.peak_memory_bytes) / 1e9; });
    if (!peak.empty() && *peak.front() > 0) text += figure_text({.name = "peak" + with, .values = peak}, "%.2f GB");
  }
  return text;
}

std::string window_text(const VideoBenchmark& measured, const WindowTimes& times, int64_t frames) {
  std::string text = format("\nwindow %lld, sink %lld\n", static_cast<long long>(times.window.frames),
                            static_cast<long long>(times.window.sink_frames));
  Line names("");
  for (const NamedAttention& mode : measured.modes) names.add(mode.name);
  text += names.take();
  Line passes("external attention, passes");
  for (const double count : times.external_passes) passes.add(format("%.3g", count));
  text += passes.take();
  text += "a frame block, window full\n" + rows_text(measured.modes, times.work);
  text += "where the time goes (instrumented runs)\n" + rows_text(measured.modes, times.split);
  text += "share of the ceiling\n" + shares_text(times.split) + videos_text(measured.modes, times, frames);
  const size_t once = once_per_block(measured);
  if (!is_compared(measured.modes, once)) return text;
  text += format("attention, exact over R=1: %s; transformer, exact over R=1: %s\n",
                 ratio_text(exact_over(measured.modes, times.work, "attention", once)).c_str(),
                 ratio_text(exact_over(measured.modes, times.work, "frame block", once)).c_str());
  return text;
}

ordered_json seconds_json(const std::vector<double>& seconds) {
  return {{"seconds", seconds}, {"median", median(seconds)}};
}

/// Of work that does not depend on the mode.
ordered_json stages_json(const std::vector<WorkTimes>& rows) {
  ordered_json all = ordered_json::object();
  for (const WorkTimes& times : rows) {
    all[times.work] = seconds_json(times.seconds.front());
    if (const auto share = share_of_ceiling(times, 0)) all[times.work]["share_of_ceiling"] = *share;
  }
  return all;
}

ordered_json times_json(const std::vector<WorkTimes>& rows, const std::vector<NamedAttention>& modes) {
  ordered_json all = ordered_json::object();
  for (const WorkTimes& times : rows) {
    ordered_json& row = all[times.work];
    for (size_t mode = 0; mode < times.seconds.size(); ++mode) {
      const std::vector<double>& seconds = times.seconds[mode];
      if (seconds.empty()) continue;
      ordered_json& its = row[modes[mode].name] = seconds_json(seconds);
      if (const auto share = share_of_ceiling(times, mode)) its["share_of_ceiling"] = *share;
      if (median(seconds) > 0)
        if (const auto ratio = exact_over(modes, rows, times.work, mode)) its["exact_over"] = *ratio;
    }
  }
  return all;
}

ordered_json run_json(const VideoRun& run) {
  ordered_json json = {{"seconds", run.seconds}, {"block_seconds", run.block_seconds}};
  if (run.decoded_seconds == 0) return json;
  json["decoded_seconds"] = run.decoded_seconds;
  json["first_frame_seconds"] = run.first_frame_seconds;
  json["memory_growth_bytes"] = run.memory_growth_bytes;
  if (run.peak_memory_bytes > 0) json["peak_memory_bytes"] = run.peak_memory_bytes;
  json["external_attentions_computed_share"] = run.external_share;
  json["stages"] = run.stages;
  return json;
}

/// Values of a figure, by mode.
ordered_json by_mode(const std::vector<std::optional<double>>& values, const std::vector<NamedAttention>& modes) {
  ordered_json json = ordered_json::object();
  for (size_t mode = 0; mode < values.size(); ++mode)
    if (values[mode]) json[modes[mode].name] = *values[mode];
  return json;
}

ordered_json videos_json(const WindowTimes& times, const std::vector<NamedAttention>& modes) {
  ordered_json all = ordered_json::object();
  for (const VideoTimes& videos : times.videos) {
    ordered_json& kind = all[videos.kind];
    for (size_t mode = 0; mode < modes.size(); ++mode) {
      ordered_json& its = kind[modes[mode].name];
      for (const VideoRun& run : videos.runs[mode]) its["runs"].push_back(run_json(run));
      if (const auto ratio = video_exact_over(modes, times, videos.kind, mode)) its["exact_over"] = *ratio;
    }
    kind["block_p99_over_median"] = by_mode(block_jitter(times, videos.kind).values, modes);
  }
  return all;
}

ordered_json ceilings_json(const Ceilings& ceilings) {
  ordered_json json = {{"native_operations_per_second", ceilings.native}};
  if (ceilings.eight_bits > 0) json["float8_operations_per_second"] = ceilings.eight_bits;
  return json;
}

ordered_json window_json(const VideoBenchmark& measured, const WindowTimes& times, int64_t frames) {
  const std::vector<NamedAttention>& modes = measured.modes;
  ordered_json json = {{"window_frames", times.window.frames}, {"sink_frames", times.window.sink_frames}};
  for (size_t mode = 0; mode < modes.size(); ++mode)
    json["external_passes"][modes[mode].name] = times.external_passes[mode];
  json["work"] = times_json(times.work, modes);
  json["split"] = times_json(times.split, modes);
  const size_t once = once_per_block(measured);
  if (const auto ratio = exact_over(modes, times.work, "attention", once)) json["attention_exact_over_r1"] = *ratio;
  if (const auto ratio = exact_over(modes, times.work, "frame block", once)) json["transformer_exact_over_r1"] = *ratio;
  if (times.videos.empty()) return json;
  for (const BenchFigure& rate : frame_rates(times, frames))
    if (!rate.values.empty()) json["frames_per_second"][rate.name] = by_mode(rate.values, modes);
  json["videos"] = videos_json(times, modes);
  return json;
}

}  // namespace

std::string bench_table(const BenchReport& report) {
  const VideoBenchmark& measured = report.measured;
  const RenderConfig& config = report.setup.config;
  std::string text =
      format("%s, %lldx%lld, %lld + 1 passes, %s in %s, %d CPU threads per stage\n", config.model.name.c_str(),
             static_cast<long long>(config.width), static_cast<long long>(config.height),
             static_cast<long long>(measured.passes), describe_device(report.model.device()).c_str(),
             dtype_name(report.model.dtype()).c_str(), measured.threads);
  if (!report.setup.precision.empty()) text += report.setup.precision + "\n";
  const bool compared = is_compared(measured.modes, once_per_block(measured));
  text +=
      format("medians of %zu runs, taking turns%s\n\n", measured.windows.front().work.front().seconds.front().size(),
             compared ? "; after reused attention: its speedup over exact" : "");
  text += rows_text(measured.modes, measured.stages);
  text += ceilings_text(measured, report.model.dtype()) + shares_text(measured.stages);
  text += format("  full VAE: %s; small VAE: %s", measured.full_vae.c_str(), measured.small_vae.c_str());
  text += measured.text_tokens > 0 ? format("; prompt of %lld tokens\n", static_cast<long long>(measured.text_tokens))
                                   : "\n";
  for (const WindowTimes& times : measured.windows) text += window_text(measured, times, report.setup.plan.frames);
  return text;
}

ordered_json bench_json(const BenchReport& report) {
  const VideoBenchmark& measured = report.measured;
  const RenderConfig& config = report.setup.config;
  ordered_json json = {{"program", "flashblock " FLASHBLOCK_VERSION},
                       {"model", config.model.name},
                       {"device", report.model.device().str()},
                       {"device_name", describe_device(report.model.device())},
                       {"dtype", dtype_name(report.model.dtype())},
                       {"precision", report.setup.precision},
                       {"cpu_threads_per_stage", measured.threads},
                       {"width", config.width},
                       {"height", config.height},
                       {"frames_per_block", config.model.recipe.frames_per_block},
                       {"denoising_passes", measured.passes},
                       {"video_frame_blocks", report.setup.plan.blocks},
                       {"video_frames", report.setup.plan.frames},
                       {"refresh", to_string(config.attention.refresh)},
                       {"policies_in_words", policies_in_words()},
                       {"full_vae", measured.full_vae},
                       {"small_vae", measured.small_vae},
                       {"text_tokens", measured.text_tokens},
                       {"ceilings", ceilings_json(measured.ceilings)},
                       {"stages", stages_json(measured.stages)},
                       {"windows", ordered_json::array()}};
  for (const WindowTimes& times : measured.windows)
    json["windows"].push_back(window_json(measured, times, report.setup.plan.frames));
  return json;
}

}  // namespace flashblock
