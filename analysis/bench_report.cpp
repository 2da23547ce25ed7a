#include "analysis/bench_report.h"

#include <cstdarg>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "analysis/bench_summary.h"
#include "core/device.h"

namespace flashblock {
namespace {

using nlohmann::ordered_json;

constexpr int kNameWidth = 32, kColumn = 21;

__attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(line, sizeof line, pattern, arguments);
  va_end(arguments);
  return line;
}

/// One line: a name, then for each way its value and, behind reused ones, exact over it.
class Line {
 public:
  explicit Line(const std::string& name) : text_(format("  %-*s", kNameWidth - 2, name.c_str())) {}

  void add(const std::string& value, const std::string& ratio = {}) {
    text_ += format("%*s", kColumn, value.c_str());
    if (ways_++ > 0) text_ += format(" %6s", ratio.c_str());
  }
  std::string take() {
    text_.erase(text_.find_last_not_of(' ') + 1);
    return text_ + "\n";
  }

 private:
  std::string text_;
  int ways_ = 0;
};

std::string milliseconds(double seconds) { return format("%.1f ms", 1e3 * seconds); }

std::string ratio_text(std::optional<double> ratio) { return ratio ? format("%.2fx", *ratio) : ""; }

std::string rows_text(const std::vector<WorkTimes>& rows) {
  std::string text;
  for (const WorkTimes& times : rows) {
    if (times.seconds.back().empty()) continue;
    Line line(times.work);
    for (size_t way = 0; way < times.seconds.size(); ++way) {
      const bool measured = !times.seconds[way].empty();
      const bool stable = measured && median(times.seconds[way]) > 0;
      line.add(measured ? milliseconds(median(times.seconds[way])) : "",
               stable ? ratio_text(exact_over(rows, times.work, way)) : "");
    }
    text += line.take();
  }
  return text;
}

std::string figure_text(const BenchFigure& figure, const char* pattern) {
  Line line(figure.name);
  for (const std::optional<double>& value : figure.values)
    line.add(value ? format(pattern, *value) : "");  // NOLINT(*-nonliteral): ours, below
  return figure.values.empty() ? "" : line.take();
}

std::string videos_text(const WindowTimes& times, int64_t frames) {
  if (times.videos.empty()) return "";
  std::string text = format("fps, a video of %lld\n", static_cast<long long>(frames));
  for (const BenchFigure& rate : frame_rates(times, frames)) text += figure_text(rate, "%.2f");
  text += "videos\n";
  for (const char* kind : {"transformer", "full VAE", "small VAE"}) {
    Line line(kind);
    const auto seconds = video_medians(times, kind, [](const VideoRun& run) { return run.seconds; });
    if (seconds.empty()) continue;
    for (size_t way = 0; way < seconds.size(); ++way)
      line.add(format("%.2f s", *seconds[way]), ratio_text(video_exact_over(times, kind, way)));
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
  }
  return text;
}

std::string window_text(const VideoBenchmark& measured, const WindowTimes& times, int64_t frames) {
  std::string text = format("\nwindow %lld, sink %lld\n", static_cast<long long>(times.window.frames),
                            static_cast<long long>(times.window.sink_frames));
  Line names("");
  for (const BenchmarkWay& way : measured.ways) names.add(way.name);
  text += names.take();
  Line passes("outside computed, passes");
  for (const double count : times.external_passes) passes.add(format("%.3g", count));
  text += passes.take();
  text += "a frame block, the window full\n" + rows_text(times.work);
  text += "where it goes (watched runs)\n" + rows_text(times.split) + videos_text(times, frames);
  const size_t once = once_a_block(measured);
  text += format("attention, exact over R=1: %s; transformer, exact over R=1: %s\n",
                 ratio_text(exact_over(times.work, "attention", once)).c_str(),
                 ratio_text(exact_over(times.work, "frame block", once)).c_str());
  return text;
}

ordered_json times_json(const std::vector<WorkTimes>& rows, const std::vector<BenchmarkWay>& ways) {
  ordered_json all = ordered_json::object();
  for (const WorkTimes& times : rows) {
    ordered_json& row = all[times.work];
    for (size_t way = 0; way < times.seconds.size(); ++way) {
      const std::vector<double>& seconds = times.seconds[way];
      if (seconds.empty()) continue;
      ordered_json& its = times.seconds.size() == 1 ? row : row[ways[way].name];
      its["seconds"] = seconds;
      its["median"] = median(seconds);
      if (way > 0 && median(seconds) > 0)
        if (const auto ratio = exact_over(rows, times.work, way)) its["exact_over"] = *ratio;
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
  json["external_attentions_computed_share"] = run.external_share;
  json["stages"] = run.stages;
  return json;
}

/// Values of a figure, by way.
ordered_json by_way(const std::vector<std::optional<double>>& values, const std::vector<BenchmarkWay>& ways) {
  ordered_json json = ordered_json::object();
  for (size_t way = 0; way < values.size(); ++way)
    if (values[way]) json[ways[way].name] = *values[way];
  return json;
}

ordered_json videos_json(const WindowTimes& times, const std::vector<BenchmarkWay>& ways) {
  ordered_json all = ordered_json::object();
  for (const VideoTimes& videos : times.videos) {
    ordered_json& kind = all[videos.kind];
    for (size_t way = 0; way < ways.size(); ++way) {
      ordered_json& its = kind[ways[way].name];
      for (const VideoRun& run : videos.runs[way]) its["runs"].push_back(run_json(run));
      if (way > 0) its["exact_over"] = *video_exact_over(times, videos.kind, way);
    }
    kind["block_p99_over_median"] = by_way(block_jitter(times, videos.kind).values, ways);
  }
  return all;
}

ordered_json window_json(const VideoBenchmark& measured, const WindowTimes& times, int64_t frames) {
  const std::vector<BenchmarkWay>& ways = measured.ways;
  ordered_json json = {{"window_frames", times.window.frames}, {"sink_frames", times.window.sink_frames}};
  for (size_t way = 0; way < ways.size(); ++way) json["external_passes"][ways[way].name] = times.external_passes[way];
  json["work"] = times_json(times.work, ways);
  json["split"] = times_json(times.split, ways);
  json["attention_exact_over_r1"] = *exact_over(times.work, "attention", once_a_block(measured));
  json["transformer_exact_over_r1"] = *exact_over(times.work, "frame block", once_a_block(measured));
  if (times.videos.empty()) return json;
  for (const BenchFigure& rate : frame_rates(times, frames))
    if (!rate.values.empty()) json["frames_per_second"][rate.name] = by_way(rate.values, ways);
  json["videos"] = videos_json(times, ways);
  return json;
}

}  // namespace

std::string bench_table(const BenchReport& report) {
  const VideoBenchmark& measured = report.measured;
  const RenderConfig& config = report.setup.config;
  std::string text =
      format("%s, %lldx%lld, %lld + 1 passes, %s in %s, %d CPU threads a stage\n", config.model.name.c_str(),
             static_cast<long long>(config.width), static_cast<long long>(config.height),
             static_cast<long long>(measured.passes), describe_device(report.model.device()).c_str(),
             dtype_name(report.model.dtype()).c_str(), measured.threads);
  text += format("medians of %zu runs in turn; behind reused attention: exact over it\n\n",
                 measured.windows.front().work.front().seconds.front().size());
  text += rows_text(measured.stages);
  text += format("  full VAE: %s; small VAE: %s", measured.full_vae.c_str(), measured.small_vae.c_str());
  text += measured.text_tokens > 0 ? format("; a text of %lld tokens\n", static_cast<long long>(measured.text_tokens))
                                   : "\n";
  for (const WindowTimes& times : measured.windows) text += window_text(measured, times, report.setup.plan.frames);
  return text;
}

ordered_json bench_json(const BenchReport& report) {
  const VideoBenchmark& measured = report.measured;
  const RenderConfig& config = report.setup.config;
  ordered_json json = {{"program", FLASHBLOCK_VERSION},
                       {"model", config.model.name},
                       {"device", report.model.device().str()},
                       {"device_name", describe_device(report.model.device())},
                       {"dtype", dtype_name(report.model.dtype())},
                       {"cpu_threads_per_stage", measured.threads},
                       {"width", config.width},
                       {"height", config.height},
                       {"frames_per_block", config.model.recipe.frames_per_block},
                       {"denoising_passes", measured.passes},
                       {"video_frame_blocks", report.setup.plan.blocks},
                       {"video_frames", report.setup.plan.frames},
                       {"refresh", measured.ways[1].name},
                       {"full_vae", measured.full_vae},
                       {"small_vae", measured.small_vae},
                       {"text_tokens", measured.text_tokens},
                       {"stages", times_json(measured.stages, measured.ways)},
                       {"windows", ordered_json::array()}};
  for (const WindowTimes& times : measured.windows)
    json["windows"].push_back(window_json(measured, times, report.setup.plan.frames));
  return json;
}

}  // namespace flashblock
