#include <algorithm>
#include <cmath>

#include "analysis/heat_map.h"
#include "analysis/html_page.h"
#include "analysis/line_chart.h"
#include "analysis/redundancy_report.h"
#include "render/sidecar.h"
#include "settings/config_file.h"

namespace flashblock {
namespace {

std::string fact(const std::string& name, const std::string& value) {
  return "<li>" + name + " <b>" + html_escape(value) + "</b></li>";
}

std::string head(const RedundancyReport& report) {
  const RenderConfig& config = report.setup.config;
  const double seconds = static_cast<double>(report.setup.plan.frames) / static_cast<double>(config.fps);
  std::string html =
      "<p class=\"kicker\">flashblock analyze redundancy</p>\n<h1>What attention repeats from pass to pass</h1>\n"
      "<p class=\"lead\">A frame block is denoised in several passes. Its queries attend to keys inside the block, "
      "which "
      "change with every pass, and to keys of earlier blocks, which do not. Here every attention is computed in every "
      "pass, and passes over the same block are compared.</p>\n<ul class=\"facts\">";
  if (config.metadata && !config.prompt.empty()) html += fact("prompt", config.prompt);
  html += fact("model", config.model.name) + fact("seed", std::to_string(*config.seed)) +
          fact("size", std::to_string(config.width) + "×" + std::to_string(config.height)) +
          fact("length", number_text(seconds, 1) + " s") + fact("computed on", report.device + " in " + report.dtype);
  return html + "</ul>\n";
}

std::string summary(const RedundancyReport& report) {
  std::string html = "<h2>In short</h2>\n";
  for (const std::string& sentence : redundancy_words(report)) html += "<p>" + html_escape(sentence) + "</p>\n";
  return html;
}

/// A map of layers and heads whose colors span its own values.
std::string head_map(const std::string& title, const std::string& note, const HeadGrid& grid, double low, double high,
                     int decimals) {
  return heat_map({.title = title,
                   .note = note,
                   .row_name = "layer",
                   .column_name = "head",
                   .values = grid,
                   .low = low,
                   .high = high,
                   .decimals = decimals});
}

/// Colors begin at the lowest value, rounded down to tenths.
double floor_of(const HeadGrid& grid) { return std::floor(lowest(grid).value * 10) / 10; }

std::string maps(const RedundancyReport& report) {
  const Redundancy& r = report.redundancy;
  std::vector<const HeadGrid*> shares;
  for (const HeadGrid& share : r.external_share) shares.push_back(&share);
  const HeadGrid outside = change_from_previous(r, Change::kExternalCosine);
  const HeadGrid inside = change_from_previous(r, Change::kInternalCosine);
  const HeadGrid lse = change_from_previous(r, Change::kLseChange);
  const HeadGrid error = change_from_first(r, Change::kOutputError);
  const double low = std::min(floor_of(outside), floor_of(inside));
  std::string html =
      "<h2>Layers and heads</h2>\n<p class=\"soft\">Means over tokens, frame blocks and passes.</p>\n<div "
      "class=\"charts\">";
  html += head_map("Outside: cosine with the pass before",
                   "A_out, attention over earlier blocks; 1: nothing has changed", outside, low, 1, 3);
  html += head_map("Inside: cosine with the pass before", "A_in, attention inside the block; the same colors", inside,
                   low, 1, 3);
  html +=
      head_map("Change of the log-sum-exp", "mean of |ΔL_out| from pass to pass; the published gate opens above 0.05",
               lse, 0, highest(lse).value, 3);
  html += head_map("Attention that goes outside", "part of the attention's weight on earlier blocks", mean_of(shares),
                   0, 1, 2);
  html += head_map("Error of reuse",
                   "relative change of attention's output if the first pass's outside is used in every later pass",
                   error, 0, highest(error).value, 3);
  return html + "</div>\n";
}

enum class Since { kPrevious, kFirst };

std::string pass_chart(const RedundancyReport& report, const std::string& title, const std::string& note,
                       Change outside, std::optional<Change> inside, Since since, int decimals) {
  const Redundancy& r = report.redundancy;
  LineChart chart{
      .title = title, .note = note, .x_end = static_cast<double>(r.passes - 1), .x_unit = "", .decimals = decimals};
  ChartSeries mean{.name = "outside, mean", .kind = "k1"}, within{.name = "inside, mean", .kind = "k2"};
  ChartSeries low{.name = "outside, lowest head", .kind = "floor"},
      high{.name = "outside, highest head", .kind = "ceiling"};
  for (int64_t pass = 1; pass < r.passes; ++pass) {
    const PassPair* pair = r.pair(since == Since::kFirst ? 0 : pass - 1, pass);
    if (!pair) continue;
    chart.x.push_back(static_cast<double>(pass));
    mean.values.push_back(grid_mean(pair->of(outside)));
    low.values.push_back(lowest(pair->of(outside)).value);
    high.values.push_back(highest(pair->of(outside)).value);
    if (inside) within.values.push_back(grid_mean(pair->of(*inside)));
  }
  chart.series = {low, high, mean};
  if (inside) chart.series.push_back(within);
  return line_chart(chart);
}

std::string video_chart(const RedundancyReport& report) {
  const Redundancy& r = report.redundancy;
  const double fps = static_cast<double>(report.setup.config.fps);
  LineChart chart{.title = "Over the video",
                  .note = "mean cosine with the pass before, and part of the attention that goes outside",
                  .decimals = 3};
  ChartSeries outside{.name = "cosine, outside", .kind = "k1"}, inside{.name = "cosine, inside", .kind = "k2"},
      share{.name = "goes outside", .kind = "k3"};
  chart.x_end = static_cast<double>(report.setup.plan.frames) / fps;
  for (size_t i = 0; i < r.blocks.size(); ++i) {
    chart.x.push_back(chart.x_end * (static_cast<double>(i) + 1.5) / (static_cast<double>(r.blocks.size()) + 1));
    outside.values.push_back(r.blocks[i].external_cosine);
    inside.values.push_back(r.blocks[i].internal_cosine);
    share.values.push_back(r.blocks[i].external_share);
  }
  chart.series = {outside, inside, share};
  return line_chart(chart);
}

std::string curves(const RedundancyReport& report) {
  const std::vector<ChartSeries> named = {{.name = "outside, mean", .kind = "k1"},
                                          {.name = "inside, mean", .kind = "k2"},
                                          {.name = "goes outside", .kind = "k3"},
                                          {.name = "outside, lowest head", .kind = "floor"},
                                          {.name = "outside, highest head", .kind = "ceiling"}};
  std::string html =
      "<h2>Passes</h2>\n<p class=\"soft\">Passes are counted from 0; the last one is the clean pass, which stores the "
      "finished block.</p>\n" +
      chart_legend(named) + "<div class=\"charts\">";
  html += pass_chart(report, "Cosine with the pass before", "by pass", Change::kExternalCosine, Change::kInternalCosine,
                     Since::kPrevious, 3);
  html += pass_chart(report, "Cosine with the first pass", "by pass; what a policy that computes once relies on",
                     Change::kExternalCosine, Change::kInternalCosine, Since::kFirst, 3);
  html += pass_chart(report, "Change of the log-sum-exp since the first pass", "by pass; |ΔL_out|", Change::kLseChange,
                     {}, Since::kFirst, 3);
  html += pass_chart(report, "Error of reuse",
                     "by pass; relative change of attention's output if the first pass's outside is used",
                     Change::kOutputError, {}, Since::kFirst, 3);
  html += video_chart(report);
  return html + "</div>\n";
}

/// Layers and passes: part of the heads (and of the blocks) that a policy computes anew.
std::string policy_map(const Redundancy& redundancy, const PolicyRefresh& policy) {
  HeatMap map{.title = policy.name,
              .note = "computes " + number_text(100 * policy.share, 1) + " % anew",
              .row_name = "layer",
              .column_name = "pass",
              .columns = pass_names(redundancy)};
  for (const HeadGrid& layer : policy.computed) {
    auto& row = map.values.emplace_back(static_cast<size_t>(redundancy.passes), kNotMeasured);
    for (size_t pass = 0; pass < std::min(layer.size(), row.size()); ++pass) row[pass] = grid_mean({layer[pass]});
  }
  return heat_map(map);
}

std::string policies(const RedundancyReport& report) {
  std::string html =
      "<h2>What policies compute anew</h2>\n<p class=\"soft\">Part of the heads and frame blocks for which the "
      "attention over earlier blocks is computed, "
      "by layer and pass. The published gate is not run here: it is worked out from the means above (by how far A_out "
      "has turned, or L_out changed, since a head was last computed).</p>\n<div class=\"charts\">";
  for (const PolicyRefresh& policy : report.redundancy.policies) html += policy_map(report.redundancy, policy);
  return html + "</div>\n";
}

std::string notes(const RedundancyReport& report) {
  return "<h2>How it was measured</h2>\n<details><summary>Definitions</summary><dl>"
         "<dt>A_out, L_out; A_in, L_in</dt><dd>Attention over the keys of earlier frame blocks, and inside the block: "
         "output and log-sum-exp of the scores.</dd>"
         "<dt>cosine</dt><dd>Of the two outputs of a token in a head; mean over tokens and frame blocks.</dd>"
         "<dt>relative change</dt><dd>Norm of the difference over the norm of the later pass, over all tokens of a "
         "head; mean over frame blocks.</dd>"
         "<dt>goes outside</dt><dd>exp(L_out) / (exp(L_out) + exp(L_in)): the weight of earlier blocks in the "
         "softmax.</dd>"
         "<dt>error of reuse</dt><dd>Relative change of the merged output of a pass if A_out and L_out of the first "
         "pass take the place of its own.</dd>"
         "</dl></details>\n<details><summary>Configuration</summary><pre>" +
         html_escape(config_yaml(told_config(report.setup.config))) +
         "</pre></details>\n<footer>flashblock " FLASHBLOCK_VERSION "</footer>\n";
}

}  // namespace

std::string redundancy_page(const RedundancyReport& report) {
  const RenderConfig& config = report.setup.config;
  const std::string subject = config.metadata && !config.prompt.empty() ? config.prompt : config.model.name;
  return html_page("Redundancy: " + subject, head(report) + summary(report) + maps(report) + curves(report) +
                                                 policies(report) + policy_points_section(report.redundancy.points) +
                                                 notes(report));
}

}  // namespace flashblock
