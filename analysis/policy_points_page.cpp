#include <cmath>

#include "analysis/html_page.h"
#include "analysis/line_chart.h"
#include "analysis/redundancy_report.h"

namespace flashblock {
namespace {

bool is_sparse(const PolicyPoint& point) { return point.attention.density > 0; }

std::string percent(double part) { return number_text(100 * part, 1) + " %"; }

/// A curve per policy that has several settings: error over `x`, both in percent.
template <typename X>
std::string chart(const std::vector<PolicyPoint>& points, bool sparse, const std::string& title,
                  const std::string& note, const X& x) {
  LineChart chart{.title = title, .note = note, .x_end = 100, .x_unit = "%", .decimals = 2};
  for (const PolicyPoint& point : points) {
    if (is_sparse(point) != sparse || point.setting.empty()) continue;
    if (chart.series.empty() || chart.series.back().name != point.curve) {
      const std::string kind = "k" + std::to_string(1 + chart.series.size() % 6);
      chart.series.push_back({.name = point.curve, .kind = kind});
    }
    chart.series.back().x.push_back(100 * x(point));
    chart.series.back().values.push_back(100 * point.error);
  }
  return chart_legend(chart.series) + "<div class=\"charts\">" + line_chart(chart) + "</div>\n";
}

std::string table(const std::vector<PolicyPoint>& points) {
  std::string html =
      "<details><summary>All settings</summary><div class=\"scroll\"><table><tr><th>policy</th><th>setting</th>"
      "<th>computed</th><th>error</th></tr>";
  for (const PolicyPoint& point : points) {
    html += "<tr><td>" + html_escape(point.curve) + "</td><td>" + html_escape(point.setting) + "</td><td>" +
            percent(point.share) + "</td><td>" + number_text(100 * point.error, 3) + " %</td></tr>";
  }
  return html + "</table></div></details>\n";
}

}  // namespace

std::string policy_points_section(const std::vector<PolicyPoint>& all) {
  if (all.empty()) return "";
  std::vector<PolicyPoint> sparse_by_curve;
  for (const PolicyPoint& first : all) {
    const bool known = !sparse_by_curve.empty() && [&] {
      for (const PolicyPoint& point : sparse_by_curve)
        if (point.curve == first.curve) return true;
      return false;
    }();
    if (!is_sparse(first) || known) continue;
    for (const PolicyPoint& point : all)
      if (point.curve == first.curve) sparse_by_curve.push_back(point);
  }
  return "<h2>Error against work</h2>\n<p class=\"soft\">Every policy beside exact attention, on the same queries and "
         "keys. Error: root mean square, over frame blocks, layers and passes, of the relative change of attention's "
         "output. Work: part of the heads and passes whose attention over earlier blocks is computed; neither mean "
         "keys nor probes count.</p>\n" +
         chart(all, false, "Refresh policies", "error of the output over the part computed, both in percent",
               [](const PolicyPoint& point) { return point.share; }) +
         chart(sparse_by_curve, true, "Sparse attention", "error of the output over the density, both in percent",
               [](const PolicyPoint& point) { return point.attention.density; }) +
         table(all);
}

}  // namespace flashblock
