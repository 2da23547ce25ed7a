// A redundancy analysis as it is told: one content, as JSON and as a page.
#pragma once

#include <string>
#include <vector>

#include "analysis/redundancy.h"
#include "render/render_setup.h"

namespace flashblock {

/// Everything that a report is made from.
struct RedundancyReport {
  const RenderSetup& setup;
  const Redundancy& redundancy;
  std::string device, dtype;
};

/// Where a value lies in a grid.
struct GridPlace {
  double value = kNotMeasured;
  size_t layer = 0, head = 0;
};
GridPlace lowest(const HeadGrid& grid);
GridPlace highest(const HeadGrid& grid);

/// Mean of each layer and head over several grids; not measured where none of them is.
HeadGrid mean_of(const std::vector<const HeadGrid*>& grids);

/// A change between neighboring passes, mean over passes; and between the first pass and each later one.
HeadGrid change_from_previous(const Redundancy& redundancy, Change change);
HeadGrid change_from_first(const Redundancy& redundancy, Change change);

/// Names of the passes: 0, 1, ..., clean.
std::vector<std::string> pass_names(const Redundancy& redundancy);

/// Numbers per layer and head of every pair of passes, and what policies compute. What was not measured is null.
std::string redundancy_json(const RedundancyReport& report);

/// Part of the page: error against work of all policies; empty if that was not asked for.
std::string policy_points_section(const std::vector<PolicyPoint>& all);

/// The page. Prompts are left out if the configuration says so.
std::string redundancy_page(const RedundancyReport& report);

/// What the measures say, one sentence an entry, in plain text.
std::vector<std::string> redundancy_words(const RedundancyReport& report);

}  // namespace flashblock
