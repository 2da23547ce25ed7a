// Tables of numbers as colors.
#pragma once

#include <string>
#include <vector>

namespace flashblock {

struct HeatMap {
  std::string title;
  std::string note;                         ///< below the title: what is shown and how to read it
  std::string row_name;                     ///< of one row, "layer" say
  std::string column_name;                  ///< of one column
  std::vector<std::string> columns;         ///< names of the columns; empty: their numbers, from 0
  std::vector<std::vector<double>> values;  ///< by row; not a number: an empty cell
  double low = 0, high = 1;                 ///< values of the palest and of the deepest color
  int decimals = 2;
};

/// A figure with a cell per number, which tells its value under the pointer, and where there is room for it in print.
std::string heat_map(const HeatMap& map);

}  // namespace flashblock
