#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "analysis/redundancy_report.h"
#include "render/sidecar.h"
#include "settings/config_file.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return std::stod(text);
}

Json grid_json(const HeadGrid& grid) {
  Json rows = Json::array();
  for (const std::vector<double>& row : grid) {
    Json cells = Json::array();
    for (const double value : row) cells.push_back(number(value));
    rows.push_back(std::move(cells));
  }
  return rows;
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

Json policies_json(const Redundancy& redundancy) {
  Json policies = Json::array();
  for (const PolicyRefresh& policy : redundancy.policies) {
    Json layers = Json::array();
    for (const HeadGrid& layer : policy.computed) layers.push_back(grid_json(layer));
    policies.push_back({{"name", policy.name}, {"share", number(policy.share)}, {"computed", std::move(layers)}});
  }
  return policies;
}

Json points_json(const Redundancy& redundancy) {
  Json points = Json::array();
  for (const PolicyPoint& point : redundancy.points) {
    points.push_back({{"policy", point.curve},
                      {"setting", point.setting},
                      {"density", number(point.attention.density)},
                      {"computed_share", number(point.share)},
                      {"error", number(point.error)}});
  }
  return points;
}

}  // namespace

std::string redundancy_json(const RedundancyReport& report) {
  const RenderConfig& config = report.setup.config;
  const Redundancy& redundancy = report.redundancy;
  Json shares = Json::array(), blocks = Json::array();
  for (const HeadGrid& share : redundancy.external_share) shares.push_back(grid_json(share));
  for (const BlockRedundancy& block : redundancy.blocks) {
    blocks.push_back({{"external_cosine", number(block.external_cosine)},
                      {"internal_cosine", number(block.internal_cosine)},
                      {"external_share", number(block.external_share)}});
  }
  const Json json = {{"program", "flashblock " FLASHBLOCK_VERSION},
                     {"analysis", "redundancy"},
                     {"model", config.model.name},
                     {"device", report.device},
                     {"dtype", report.dtype},
                     {"frames", report.setup.plan.frames},
                     {"layers", redundancy.layers},
                     {"heads", redundancy.heads},
                     {"passes", pass_names(redundancy)},
                     {"configuration", config_yaml(told_config(config))},
                     {"external_share", shares},
                     {"pairs", pairs_json(redundancy)},
                     {"blocks", blocks},
                     {"policies", policies_json(redundancy)},
                     {"points", points_json(redundancy)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace flashblock
