// Curves as inline SVG.
#pragma once

#include <string>
#include <vector>

namespace flashblock {

struct ChartSeries {
  std::string name;
  std::string kind;            ///< class of the style sheet: k0 to k6, floor, ceiling
  std::vector<double> values;  ///< one per x; a gap where not finite
  std::vector<double> x;       ///< of its own; empty: the chart's
};

struct LineChart {
  std::string title;
  std::string note;       ///< below the title: unit and how to read it
  std::vector<double> x;  ///< rising, from 0
  double x_end = 1;       ///< where the axis ends
  std::string x_unit = "s";
  std::vector<ChartSeries> series;
  int decimals = 1;  ///< of readings
};

/// A figure with axes. The plot stretches to its place; its labels are text beside it and keep their size.
std::string line_chart(const LineChart& chart);

/// Names and lines of the series.
std::string chart_legend(const std::vector<ChartSeries>& series);

/// Round numbers (1, 2 or 5 times a power of ten apart) that cover `low` to `high`, about `wanted` of them.
std::vector<double> axis_ticks(double low, double high, int wanted);

}  // namespace flashblock
