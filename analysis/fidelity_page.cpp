#include <algorithm>
#include <cmath>

#include "analysis/fidelity_report.h"
#include "analysis/html_page.h"
#include "analysis/line_chart.h"
#include "analysis/side_by_side.h"
#include "media/jpeg_encoder.h"
#include "render/pace.h"
#include "render/sidecar.h"
#include "settings/config_file.h"

namespace flashblock {
namespace {

using Kind = FidelityRun::Kind;
constexpr int kStillQuantizer = 4;

/// Class of the style sheet for run `index`.
std::string kind_class(const Fidelity& fidelity, size_t index) {
  switch (fidelity.runs[index].run.kind) {
    case Kind::kExact:
      return "k0";
    case Kind::kNoiseFloor:
      return "floor";
    case Kind::kOtherSeed:
      return "ceiling";
    case Kind::kPolicy:
      break;
  }
  return std::string("k").append(std::to_string((index - 1) % 6 + 1));
}

std::string percent(double part, int decimals = 1) {
  return number_text(100 * part, decimals) + (std::isnan(part) ? "" : " %");
}

std::string fact(const std::string& name, const std::string& value) {
  return "<li>" + name + " <b>" + html_escape(value) + "</b></li>";
}

std::string head(const FidelityReport& report) {
  const RenderConfig& config = report.setup.config;
  const size_t runs = report.fidelity.runs.size();
  std::string html =
      "<p class=\"kicker\">flashblock analyze fidelity</p>\n<h1>What reused attention costs the frame</h1>\n"
      "<p class=\"lead\">One video, rendered " +
      std::to_string(runs) +
      " times: exactly; with attention over earlier frame blocks reused; exactly again, its sums in "
      "another order (the noise floor: how far rounding alone carries a video away); and from another "
      "seed (the ceiling: how far apart two videos of the same prompt are).</p>\n<ul class=\"facts\">";
  if (config.metadata && !config.prompt.empty()) html += fact("prompt", config.prompt);
  html += fact("model", config.model.name) + fact("seed", std::to_string(*config.seed)) +
          fact("size", std::to_string(config.width) + "×" + std::to_string(config.height)) +
          fact("length",
               number_text(static_cast<double>(report.setup.plan.frames) / static_cast<double>(config.fps), 1) + " s") +
          fact("computed on", report.device + " in " + report.dtype);
  return html + "</ul>\n";
}

std::string check(bool met, const std::string& what, const std::string& value) {
  return std::string("<li><span class=\"") + (met ? "yes\" title=\"yes\">✓" : "no\" title=\"no\">✗") + "</span><span>" +
         what + "</span><b>" + value + "</b></li>";
}

std::string verdicts(const FidelityReport& report) {
  const Fidelity& fidelity = report.fidelity;
  std::string html = "<h2>In short</h2>\n<div class=\"cards\">";
  for (size_t i = 0; i < fidelity.runs.size(); ++i) {
    const MeasuredRun& run = fidelity.runs[i];
    if (run.run.kind != Kind::kPolicy) continue;
    const FidelityVerdict verdict = judge(run, fidelity);
    html +=
        "<section class=\"card\"><h3><i class=\"" + kind_class(fidelity, i) + "\"></i>" + html_escape(run.run.name) +
        "</h3><ul>" +
        check(verdict.saves, "computes attention over the past in at most 40&nbsp;% of passes",
              percent(run.computed_share())) +
        check(verdict.keeps_drift, "drifts as the exact video, within 2&nbsp;%", percent(verdict.drift_difference)) +
        check(verdict.is_rounding, "first 5&nbsp;s within 3&nbsp;dB of the noise floor",
              "−" + number_text(std::max(0.0, verdict.early_loss_db), 1) + " dB") +
        "</ul><p>" + html_escape(fidelity_words(report, run)) + "</p></section>";
  }
  return html + "</div>\n";
}

std::string stills(const FidelityReport& report) {
  const auto& runs = report.fidelity.runs;
  const RenderConfig& config = report.setup.config;
  const int64_t frames = runs.front().blocks.back().first_frame + runs.front().blocks.back().frames;
  const int64_t count = std::min(report.stills, frames);
  const std::string columns = std::to_string(runs.size());
  std::string html =
      "<h2>Side by side</h2>\n<p class=\"soft\">The same moments of every rendering. Rows are times, columns are "
      "renderings.</p>\n"
      "<div class=\"scroll\"><div class=\"stills\" style=\"grid-template-columns:3rem repeat(" +
      columns + ",minmax(120px,1fr))\"><b></b>";
  for (const MeasuredRun& run : runs) html += "<b>" + html_escape(run.run.name) + "</b>";
  for (int64_t i = 0; i < count; ++i) {
    const int64_t frame = count == 1 ? 0 : i * (frames - 1) / (count - 1);
    const std::string time = clock_text(std::floor(static_cast<double>(frame) / static_cast<double>(config.fps)));
    html += "\n<em>" + time + "</em>";
    for (const MeasuredRun& run : runs) {
      html += "<img loading=\"lazy\" alt=\"" + html_escape(run.run.name) + " at " + time + "\" src=\"" +
              data_uri("image/jpeg", encode_jpeg(thumbnail_at(run, frame), kStillQuantizer)) + "\">";
    }
  }
  return html + "</div></div>\n";
}

std::string video(const FidelityReport& report) {
  if (report.video.empty()) return "";
  return "<h2>The videos at once</h2>\n<video controls loop muted playsinline preload=\"metadata\" src=\"" +
         html_escape(report.video) + "\"></video>\n";
}

enum class OtherSeed { kShown, kLeftOut };

/// One chart of a measure of every run that has it.
class Charts {
 public:
  Charts(const FidelityReport& report, OtherSeed other_seed)
      : fidelity_(report.fidelity), fps_(static_cast<double>(report.setup.config.fps)), other_seed_(other_seed) {}

  template <typename Value>
  std::string draw(const std::string& title, const std::string& note, int decimals, const Value& value) const {
    LineChart chart{.title = title, .note = note, .decimals = decimals};
    const std::vector<BlockMeasures>& blocks = fidelity_.runs.front().blocks;
    for (const BlockMeasures& block : blocks) {
      chart.x.push_back((static_cast<double>(block.first_frame) + static_cast<double>(block.frames) / 2) / fps_);
    }
    chart.x_end = static_cast<double>(blocks.back().first_frame + blocks.back().frames) / fps_;
    for (size_t i = 0; i < fidelity_.runs.size(); ++i) {
      if (!shown(i)) continue;
      ChartSeries series{.name = fidelity_.runs[i].run.name, .kind = kind_class(fidelity_, i)};
      for (const BlockMeasures& block : fidelity_.runs[i].blocks) series.values.push_back(value(block));
      const bool measured =
          std::any_of(series.values.begin(), series.values.end(), [](double x) { return std::isfinite(x); });
      if (measured) chart.series.push_back(std::move(series));
    }
    return line_chart(chart);
  }

  std::string legend() const {
    std::vector<ChartSeries> all;
    for (size_t i = 0; i < fidelity_.runs.size(); ++i) {
      if (shown(i)) all.push_back({.name = fidelity_.runs[i].run.name, .kind = kind_class(fidelity_, i)});
    }
    return chart_legend(all);
  }

 private:
  /// By itself another scene would set the scale, and hide what differs; against itself the exact video shows nothing.
  bool shown(size_t run) const {
    return fidelity_.runs[run].run.kind != (other_seed_ == OtherSeed::kShown ? Kind::kExact : Kind::kOtherSeed);
  }

  const Fidelity& fidelity_;
  double fps_;
  OtherSeed other_seed_;
};

std::string curves(const FidelityReport& report) {
  using Block = const BlockMeasures&;
  const Charts charts(report, OtherSeed::kShown), alone(report, OtherSeed::kLeftOut);
  const double range = report.fidelity.latent_range;
  std::string html =
      "<h2>Distance from the exact video</h2>\n<p class=\"soft\">Per frame block. Blocks that are equal bit for bit, "
      "as the first one must be, have no finite PSNR and are left out. A video of few steps is chaotic: even rounding "
      "grows, "
      "so every curve falls with length; what counts is where it lies between floor and ceiling.</p>\n" +
      charts.legend() + "<div class=\"charts\">";
  html += charts.draw("PSNR of frames", "dB; higher is nearer", 1, [](Block b) { return psnr(b.frame_error, 1); });
  html += charts.draw("SSIM of frames", "1 is equal", 4, [](Block b) { return b.frame_ssim; });
  html += charts.draw("PSNR of latents", "dB, peak is the range of the exact latents", 1,
                      [=](Block b) { return psnr(b.latent_error, range); });
  html += charts.draw("SSIM of latents", "1 is equal", 4, [](Block b) { return b.latent_ssim; });
  html +=
      "</div>\n<h2>The videos by themselves</h2>\n<p class=\"soft\">Where paired numbers no longer tell anything, "
      "these "
      "do: a policy that harms videos "
      "lets them fade, sharpen, flicker or jump. The other seed shows another scene and is in the table only.</p>\n" +
      alone.legend() + "<div class=\"charts\">";
  html += alone.draw("Brightness", "mean of grey, 0 to 1", 4, [](Block b) { return b.statistics.brightness; });
  html += alone.draw("Contrast", "deviation of grey", 4, [](Block b) { return b.statistics.contrast; });
  html += alone.draw("Saturation", "largest minus smallest color, mean", 4,
                     [](Block b) { return b.statistics.saturation; });
  html += alone.draw("Sharpness", "difference between neighboring pixels", 4,
                     [](Block b) { return b.statistics.sharpness; });
  html += alone.draw("Flicker", "change of the change from frame to frame, in thousandths", 3,
                     [](Block b) { return 1000 * b.flicker; });
  html += alone.draw("Jump at block borders", "change across the border over change inside; 1 is none", 2,
                     [](Block b) { return b.change_at_border / b.change_inside; });
  return html + "</div>\n";
}

/// The four statistics of each video: against the exact video's, and their drifts.
std::string statistics_table(const FidelityReport& report) {
  const FrameStatistics& exact = report.fidelity.runs.front().summary.mean;
  std::string html =
      "<div class=\"scroll\"><table class=\"tight\"><thead><tr><th></th><th colspan=\"4\">mean over the video against "
      "exact</th>"
      "<th colspan=\"4\">drift</th><th colspan=\"4\">drift at the end</th></tr><tr><th>rendering</th>";
  for (int group = 0; group < 3; ++group) {
    for (const char* name : {"brightn.", "contrast", "saturat.", "sharpn."})
      html += std::string("<th>") + name + "</th>";
  }
  html += "</tr></thead><tbody>";
  for (const MeasuredRun& run : report.fidelity.runs) {
    html += "<tr><th>" + html_escape(run.run.name) + "</th>";
    const auto means = named(run.summary.mean), exact_means = named(exact);
    for (size_t i = 0; i < means.size(); ++i)
      html += "<td>" + percent(means[i].second / exact_means[i].second - 1) + "</td>";
    for (const FrameStatistics& drift : {run.summary.drift, run.summary.end_drift}) {
      for (const auto& [name, value] : named(drift)) html += "<td>" + percent(value) + "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string table(const FidelityReport& report) {
  std::string html =
      "<h2>Numbers</h2>\n<div class=\"scroll\"><table><thead><tr><th>rendering</th><th>computed</th><th>PSNR<br>first "
      "5 s</th><th>PSNR</th>"
      "<th>SSIM</th><th>PSNR<br>latents</th><th>SSIM<br>latents</th>";
  html += "<th>flicker<br>×1000</th><th>border<br>jump</th></tr></thead><tbody>";
  for (const MeasuredRun& run : report.fidelity.runs) {
    const VideoSummary& s = run.summary;
    std::string row = "<tr><th>" + html_escape(run.run.name) + "</th>";
    const auto cell = [&](const std::string& text) { row += "<td>" + text + "</td>"; };
    cell(percent(run.computed_share()));
    cell(number_text(s.early_frame_psnr, 1));
    cell(number_text(s.frame_psnr, 1));
    cell(number_text(s.frame_ssim, 4));
    cell(number_text(s.latent_psnr, 1));
    cell(number_text(s.latent_ssim, 4));
    cell(number_text(1000 * s.flicker, 3));
    cell(number_text(s.border_jump, 2));
    html += row + "</tr>\n";
  }
  return html + "</tbody></table></div>\n" + statistics_table(report);
}

std::string notes(const FidelityReport& report) {
  return "<h2>How it was measured</h2>\n<details><summary>Definitions</summary><dl>"
         "<dt>computed</dt><dd>Of all passes of all layers over blocks that have a past, the part that computed the "
         "attention over that past; the rest reused it.</dd>"
         "<dt>noise floor</dt><dd>Exact attention in every pass, but summed over earlier blocks and over the block "
         "itself apart, then merged: the same mathematics in another order of summation. It differs from the exact run "
         "by rounding only.</dd>"
         "<dt>PSNR</dt><dd>10 log10(peak² / mean square error). Frames: values from 0 to 1, peak 1. Latents: peak is "
         "the largest minus the smallest latent of the exact video (" +
         number_text(report.fidelity.latent_range, 2) +
         "). Over a video or a part of it: from the mean of the square errors. ∞: equal bit for bit.</dd>"
         "<dt>SSIM</dt><dd>Wang et al. 2004: Gaussian window of 11×11 and deviation 1.5, K1 0.01, K2 0.03, edges "
         "mirrored; mean over colors or channels, and frames.</dd>"
         "<dt>brightness, contrast, saturation, sharpness</dt><dd>Grey is the mean of the colors. Mean of grey; its "
         "standard deviation; mean of largest minus smallest color; mean difference of neighbors in rows plus the same "
         "in columns.</dd>"
         "<dt>drift</dt><dd>Mean of a statistic over all that comes after the first 5 s (at most half of the video), "
         "divided by its mean over them, minus 1.</dd>"
         "<dt>drift at the end</dt><dd>The same of the last 5 s alone. It depends on what happens to be seen there: "
         "the noise floor and the other seed show by how much.</dd>"
         "<dt>flicker</dt><dd>Mean of |x[t] − 2 x[t−1] + x[t−2]| / 2 over grey pixels: steady motion counts little, "
         "trembling much.</dd>"
         "<dt>border jump</dt><dd>Mean change of grey between the frames on both sides of a border between frame "
         "blocks, over the mean change between neighboring frames inside blocks.</dd>"
         "</dl></details>\n<details><summary>Configuration</summary><pre>" +
         html_escape(config_yaml(told_config(report.setup.config))) +
         "</pre></details>\n<footer>flashblock " FLASHBLOCK_VERSION "</footer>\n";
}

}  // namespace

std::string fidelity_page(const FidelityReport& report) {
  const RenderConfig& config = report.setup.config;
  const std::string subject = config.metadata && !config.prompt.empty() ? config.prompt : config.model.name;
  return html_page("Fidelity: " + subject, head(report) + verdicts(report) + stills(report) + video(report) +
                                               curves(report) + table(report) + notes(report));
}

}  // namespace flashblock
