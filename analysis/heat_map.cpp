#include "analysis/heat_map.h"

#include <algorithm>
#include <cmath>

#include "analysis/html_page.h"

namespace flashblock {
namespace {

constexpr size_t kPrintedColumns = 12;  // more would leave no room for numbers

std::string cell(const HeatMap& map, size_t row, size_t column, const std::string& column_text) {
  const double value = map.values[row][column];
  const std::string place = map.row_name + " " + std::to_string(row) + ", " + map.column_name + " " + column_text;
  if (!std::isfinite(value)) return "<i title=\"" + html_escape(place) + ": nothing to compute\"></i>";
  const double span = map.high > map.low ? map.high - map.low : 1;
  const auto depth = static_cast<int>(std::lround(100 * std::clamp((value - map.low) / span, 0.0, 1.0)));
  const std::string text = number_text(value, map.decimals);
  std::string html = "<i class=\"";
  html += depth > 55 ? "deep" : "pale";
  html += "\" style=\"--d:" + std::to_string(depth) + "%\" title=\"" + html_escape(place) + ": " + text + "\">";
  return html + (map.values[row].size() <= kPrintedColumns ? text : "") + "</i>";
}

}  // namespace

std::string heat_map(const HeatMap& map) {
  const size_t columns = map.values.empty() ? 0 : map.values.front().size();
  const auto column_text = [&](size_t i) { return i < map.columns.size() ? map.columns[i] : std::to_string(i); };
  std::string cells = "<b>" + html_escape(map.row_name) + "</b>";
  for (size_t i = 0; i < columns; ++i) cells += "<b>" + html_escape(column_text(i)) + "</b>";
  for (size_t row = 0; row < map.values.size(); ++row) {
    cells += "\n<b>" + std::to_string(row) + "</b>";
    for (size_t i = 0; i < columns; ++i) cells += cell(map, row, i, column_text(i));
  }
  return "<figure class=\"map\"><figcaption>" + html_escape(map.title) + "<small>" + html_escape(map.note) +
         "</small></figcaption><div class=\"cells\" style=\"grid-template-columns:2.6rem repeat(" +
         std::to_string(columns) + ",minmax(0,1fr))\">" + cells + "</div><div class=\"scale\"><span>" +
         number_text(map.low, map.decimals) + "</span><i></i><span>" + number_text(map.high, map.decimals) +
         "</span><span>columns: " + html_escape(map.column_name) + "</span></div></figure>\n";
}

}  // namespace flashblock
