#include "analysis/redundancy_report.h"

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

/// Means over passes, per layer and head.
struct PassMeans {
  HeadGrid external_cosine, internal_cosine, lse_change;  ///< between neighboring passes
  HeadGrid external_share;                                ///< of all passes
  HeadGrid reuse_error;                                   ///< from the first pass to each later one
};

/// Mean of each layer and head over several grids; not measured where none of them is.
HeadGrid mean_of(const std::vector<HeadGrid>& grids) {
  HeadGrid result = grids.empty() ? HeadGrid() : grids.front();
  for (size_t layer = 0; layer < result.size(); ++layer) {
    for (size_t head = 0; head < result[layer].size(); ++head) {
      HeadGrid values(1);
      for (const HeadGrid& grid : grids) values[0].push_back(grid[layer][head]);
      result[layer][head] = grid_mean(values);
    }
  }
  return result;
}

PassMeans pass_means(const Redundancy& redundancy) {
  std::vector<HeadGrid> errors;
  for (const PassPair& pair : redundancy.pairs) {
    if (pair.from == 0) errors.push_back(pair.of(Change::kOutputError));
  }
  const auto from_previous = [&](Change change) {
    std::vector<HeadGrid> grids;
    for (const PassPair& pair : redundancy.pairs) {
      if (pair.from + 1 == pair.to) grids.push_back(pair.of(change));
    }
    return mean_of(grids);
  };
  return {.external_cosine = from_previous(Change::kExternalCosine),
          .internal_cosine = from_previous(Change::kInternalCosine),
          .lse_change = from_previous(Change::kLseChange),
          .external_share = mean_of(redundancy.external_share),
          .reuse_error = mean_of(errors)};
}

/// The value of a grid that no other one is before in `order`, as "0.123 (layer 1, head 2)".
template <typename Order>
std::string extreme(const HeadGrid& grid, const Order& order, std::string (*text)(double)) {
  double found = kNotMeasured;
  std::string place;
  for (size_t layer = 0; layer < grid.size(); ++layer) {
    for (size_t head = 0; head < grid[layer].size(); ++head) {
      const double value = grid[layer][head];
      if (std::isnan(value) || (!std::isnan(found) && !order(value, found))) continue;
      found = value;
      place = " (layer " + std::to_string(layer) + ", head " + std::to_string(head) + ")";
    }
  }
  return text(found) + place;
}

std::string lowest(const HeadGrid& grid, std::string (*text)(double)) { return extreme(grid, std::less<>(), text); }
std::string highest(const HeadGrid& grid, std::string (*text)(double)) { return extreme(grid, std::greater<>(), text); }
std::string cosine_text(double value) { return number_text(value, 3); }

Json grid_json(const HeadGrid& grid) {
  Json rows = Json::array();
  for (const std::vector<double>& row : grid) {
    Json& cells = rows.emplace_back(Json::array());
    for (const double value : row) cells.push_back(rounded(value, 5));
  }
  return rows;
}

Json pass_names(const Redundancy& redundancy) {
  Json names = Json::array();
  for (int64_t pass = 0; pass + 1 < redundancy.passes; ++pass) names.push_back(std::to_string(pass));
  names.push_back("clean");
  return names;
}

Json pairs_json(const Redundancy& redundancy) {
  Json pairs = Json::array();
  for (const PassPair& pair : redundancy.pairs) {
    pairs.push_back({{"from_pass", pair.from},
                     {"to_pass", pair.to},
                     {"external_cosine", grid_json(pair.of(Change::kExternalCosine))},
                     {"external_relative_error", grid_json(pair.of(Change::kExternalError))},
                     {"lse_change", grid_json(pair.of(Change::kLseChange))},
                     {"internal_cosine", grid_json(pair.of(Change::kInternalCosine))},
                     {"internal_relative_error", grid_json(pair.of(Change::kInternalError))},
                     {"output_relative_error", grid_json(pair.of(Change::kOutputError))}});
  }
  return pairs;
}

Json means_json(const PassMeans& means) {
  return {{"external_cosine", grid_json(means.external_cosine)},
          {"internal_cosine", grid_json(means.internal_cosine)},
          {"lse_change", grid_json(means.lse_change)},
          {"external_share", grid_json(means.external_share)},
          {"reuse_error", grid_json(means.reuse_error)}};
}

Json blocks_json(const Redundancy& redundancy) {
  Json blocks = Json::array();
  for (const BlockRedundancy& block : redundancy.blocks) {
    blocks.push_back({{"external_cosine", rounded(block.external_cosine, 5)},
                      {"internal_cosine", rounded(block.internal_cosine, 5)},
                      {"external_share", rounded(block.external_share, 5)}});
  }
  return blocks;
}

Json policies_json(const Redundancy& redundancy) {
  Json policies = Json::array();
  for (const PolicyRefresh& policy : redundancy.policies) {
    Json layers = Json::array();
    for (const HeadGrid& layer : policy.computed) layers.push_back(grid_json(layer));
    policies.push_back({{"name", policy.name}, {"share", rounded(policy.share, 5)}, {"computed", std::move(layers)}});
  }
  return policies;
}

Json points_json(const Redundancy& redundancy) {
  Json points = Json::array();
  for (const PolicyPoint& point : redundancy.points) {
    points.push_back({{"policy", point.curve},
                      {"setting", point.setting},
                      {"density", rounded(point.attention.density, 5)},
                      {"computed_share", rounded(point.share, 5)},
                      {"error", rounded(point.error, 5)}});
  }
  return points;
}

}  // namespace

std::vector<std::string> redundancy_in_words(const Redundancy& redundancy) {
  const PassMeans means = pass_means(redundancy);
  std::vector<std::string> words = {
      "External attention, to earlier frame blocks, has " + percent_text(grid_mean(means.external_share)) +
          " of the attention weight on average: from " + lowest(means.external_share, percent_text) + " to " +
          highest(means.external_share, percent_text) + ".",
      "From one pass to the next, the output of external attention keeps a cosine similarity of " +
          cosine_text(grid_mean(means.external_cosine)) + " on average, and of " +
          lowest(means.external_cosine, cosine_text) + " in the head that changes most; that of internal attention " +
          cosine_text(grid_mean(means.internal_cosine)) + " on average.",
      "Reusing the external attention of the first pass in every later pass changes the output of attention by " +
          percent_text(grid_mean(means.reuse_error)) + " on average, and by " +
          highest(means.reuse_error, percent_text) + " in the worst head."};
  for (const PolicyRefresh& policy : redundancy.policies) {
    words.push_back(policy.name + " computes " + percent_text(policy.share) + " of the external attention.");
  }
  return words;
}

Json redundancy_json(const CheckedVideo& video, const Redundancy& redundancy) {
  Json json = report_head("redundancy", video);
  json["layers"] = redundancy.layers;
  json["heads"] = redundancy.heads;
  json["passes"] = pass_names(redundancy);
  json["in_words"] = redundancy_in_words(redundancy);
  json["external_share"] = Json::array();
  for (const HeadGrid& share : redundancy.external_share) json["external_share"].push_back(grid_json(share));
  json["means"] = means_json(pass_means(redundancy));
  json["pairs"] = pairs_json(redundancy);
  json["blocks"] = blocks_json(redundancy);
  json["policies"] = policies_json(redundancy);
  json["points"] = points_json(redundancy);
  return json;
}

}  // namespace flashblock
