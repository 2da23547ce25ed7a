#include "analysis/line_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "analysis/html_page.h"

namespace flashblock {
namespace {

constexpr double kSide = 1000;  // of the drawing, whatever the size it is shown at

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

/// Decimals that tell ticks apart.
int tick_decimals(const std::vector<double>& ticks) {
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  return std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 6);
}

/// Lowest and highest tick around all values.
std::vector<double> value_ticks(const LineChart& chart) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const ChartSeries& series : chart.series) {
    for (const double value : series.values) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (low > high) return {0, 1};
  if (high - low < 1e-9 * std::max(1.0, std::abs(high))) {  // a level line goes through the middle
    const double room = std::max(std::abs(high) * 0.05, 1e-6);
    low -= room;
    high += room;
  }
  return axis_ticks(low, high, 5);
}

std::string path_of(const LineChart& chart, const ChartSeries& series, double low, double high) {
  std::string d;
  bool drawing = false;
  const std::vector<double>& x = series.x.empty() ? chart.x : series.x;
  for (size_t i = 0; i < std::min(series.values.size(), x.size()); ++i) {
    if (!std::isfinite(series.values[i])) {
      drawing = false;
      continue;
    }
    d += (drawing ? "L" : "M") + fixed(x[i] / chart.x_end * kSide, 1) + " " +
         fixed((high - series.values[i]) / (high - low) * kSide, 1);
    drawing = true;
  }
  return "<path class=\"" + series.kind + "\" data-name=\"" + html_escape(series.name) + "\" d=\"" + d + "\"/>";
}

}  // namespace

std::vector<double> axis_ticks(double low, double high, int wanted) {
  const double rough = (high - low) / wanted;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  std::vector<double> ticks;
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string line_chart(const LineChart& chart) {
  const std::vector<double> ticks = value_ticks(chart);
  const double low = ticks.front(), high = ticks.back();
  std::string rules, labels, lines;
  const int decimals = tick_decimals(ticks);
  for (const double tick : ticks) {
    const double part = (tick - low) / (high - low);
    const std::string y = fixed((1 - part) * kSide, 1);
    rules += "<path class=\"rule\" d=\"M0 " + y + "L1000 " + y + "\"/>";
    labels +=
        "<span class=\"y\" style=\"bottom:" + fixed(part * 100, 2) + "%\">" + number_text(tick, decimals) + "</span>";
  }
  const std::vector<double> x_ticks = axis_ticks(0, chart.x_end, 6);
  for (const double tick : x_ticks) {
    if (tick > chart.x_end * (1 + 1e-9)) continue;
    labels += "<span class=\"x\" style=\"left:" + fixed(tick / chart.x_end * 100, 2) + "%\">" +
              number_text(tick, tick_decimals(x_ticks)) + " " + html_escape(chart.x_unit) + "</span>";
  }
  // The exact video and the yardsticks first, so that policies are drawn over them.
  for (const bool policies : {false, true}) {
    for (const ChartSeries& series : chart.series) {
      const bool policy = series.kind.size() == 2 && series.kind != "k0";
      if (policy == policies) lines += path_of(chart, series, low, high);
    }
  }
  return "<figure class=\"chart\"><figcaption>" + html_escape(chart.title) + "<small>" + html_escape(chart.note) +
         "</small></figcaption><div class=\"plot\" data-low=\"" + fixed(low, 6) + "\" data-high=\"" + fixed(high, 6) +
         "\" data-end=\"" + fixed(chart.x_end, 3) + "\" data-unit=\"" + html_escape(chart.x_unit) +
         "\" data-digits=\"" + std::to_string(chart.decimals) +
         "\"><svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"" +
         html_escape(chart.title) + "\">" + rules + lines + "</svg>" + labels + "</div></figure>\n";
}

std::string chart_legend(const std::vector<ChartSeries>& series) {
  std::string legend = "<ul class=\"legend\">";
  for (const ChartSeries& one : series) {
    legend += "<li class=\"" + one.kind + "\"><i></i><span>" + html_escape(one.name) + "</span></li>";
  }
  return legend + "</ul>\n";
}

}  // namespace flashblock
