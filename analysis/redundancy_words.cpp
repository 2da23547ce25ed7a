#include <algorithm>
#include <cmath>

#include "analysis/html_page.h"
#include "analysis/redundancy_report.h"

namespace flashblock {
namespace {

template <typename Better>
GridPlace best(const HeadGrid& grid, const Better& better) {
  GridPlace place;
  for (size_t layer = 0; layer < grid.size(); ++layer) {
    for (size_t head = 0; head < grid[layer].size(); ++head) {
      const double value = grid[layer][head];
      if (std::isnan(value) || (!std::isnan(place.value) && !better(value, place.value))) continue;
      place = {value, layer, head};
    }
  }
  return place;
}

std::string at(const GridPlace& place) {
  return "layer " + std::to_string(place.layer) + ", head " + std::to_string(place.head);
}

std::string percent(double part) { return number_text(100 * part, 1) + " %"; }

}  // namespace

GridPlace lowest(const HeadGrid& grid) {
  return best(grid, [](double a, double b) { return a < b; });
}

GridPlace highest(const HeadGrid& grid) {
  return best(grid, [](double a, double b) { return a > b; });
}

HeadGrid mean_of(const std::vector<const HeadGrid*>& grids) {
  HeadGrid result;
  if (grids.empty()) return result;
  result = *grids.front();
  for (size_t layer = 0; layer < result.size(); ++layer) {
    for (size_t head = 0; head < result[layer].size(); ++head) {
      HeadGrid values(1);
      for (const HeadGrid* grid : grids) values[0].push_back((*grid)[layer][head]);
      result[layer][head] = grid_mean(values);
    }
  }
  return result;
}

HeadGrid change_from_previous(const Redundancy& redundancy, Change change) {
  std::vector<const HeadGrid*> grids;
  for (const PassPair& pair : redundancy.pairs) {
    if (pair.from + 1 == pair.to) grids.push_back(&pair.of(change));
  }
  return mean_of(grids);
}

HeadGrid change_from_first(const Redundancy& redundancy, Change change) {
  std::vector<const HeadGrid*> grids;
  for (const PassPair& pair : redundancy.pairs) {
    if (pair.from == 0) grids.push_back(&pair.of(change));
  }
  return mean_of(grids);
}

std::vector<std::string> pass_names(const Redundancy& redundancy) {
  std::vector<std::string> names;
  for (int64_t pass = 0; pass + 1 < redundancy.passes; ++pass) names.push_back(std::to_string(pass));
  names.push_back("clean");
  return names;
}

std::vector<std::string> redundancy_words(const RedundancyReport& report) {
  const Redundancy& redundancy = report.redundancy;
  std::vector<std::string> words;
  const HeadGrid share = mean_of([&] {
    std::vector<const HeadGrid*> grids;
    for (const HeadGrid& grid : redundancy.external_share) grids.push_back(&grid);
    return grids;
  }());
  const GridPlace most = highest(share), least = lowest(share);
  words.push_back("Of all attention, " + percent(grid_mean(share)) + " goes to earlier frame blocks: from " +
                  percent(least.value) + " (" + at(least) + ") to " + percent(most.value) + " (" + at(most) + ").");
  const HeadGrid outside = change_from_previous(redundancy, Change::kExternalCosine);
  const GridPlace restless = lowest(outside);
  words.push_back("From one pass to the next, attention over earlier blocks keeps its direction with a cosine of " +
                  number_text(grid_mean(outside), 3) + " on average, " + number_text(restless.value, 3) +
                  " in its most restless head (" + at(restless) + "); attention inside the block with " +
                  number_text(grid_mean(change_from_previous(redundancy, Change::kInternalCosine)), 3) + ".");
  const HeadGrid error = change_from_first(redundancy, Change::kOutputError);
  const GridPlace worst = highest(error);
  words.push_back(
      "Using the first pass's attention over earlier blocks in every later pass changes the output of "
      "attention by " +
      percent(grid_mean(error)) + " on average, " + percent(worst.value) + " in the worst head (" + at(worst) + ").");
  for (const PolicyRefresh& policy : redundancy.policies) {
    words.push_back(policy.name + " computes " + percent(policy.share) + " of the attention over earlier blocks anew.");
  }
  return words;
}

}  // namespace flashblock
