#include "analysis/policy_curves.h"

#include <ATen/TensorOperators.h>

#include <array>
#include <cmath>
#include <memory>
#include <sstream>

#include "attention/external_attention.h"

namespace flashblock {
namespace {

using Correction = AttentionConfig::Correction;
using Residual = AttentionConfig::Residual;

std::string text(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

void add_refresh_policies(std::vector<PolicyPoint>& points, const Redundancy& redundancy, Correction correction) {
  const std::string with = correction == Correction::kMeanKey ? ", mean key" : "";
  const auto add = [&](const std::string& name, const std::string& setting, AttentionConfig config) {
    config.correction = correction;
    points.push_back({.curve = name + with, .setting = setting, .attention = std::move(config)});
  };
  add("first_pass", "", {.refresh = "first_pass"});
  add("first_and_clean_pass", "", {.refresh = "first_and_clean_pass"});
  for (const int64_t interval : {4, 3, 2}) {
    add("every_nth", "interval=" + std::to_string(interval), {.refresh = "every_nth", .interval = interval});
  }
  for (const double scale : {8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.12}) {
    const GateThresholds thresholds{.cosine = 1 - 0.15 * scale, .lse_change = 0.05 * scale};
    AttentionConfig config{.refresh = "published_gate"};
    config.gate = std::make_shared<RefreshGate>(calibrate_gate(redundancy, thresholds, "this video"));
    add("published_gate", "cosine " + text(thresholds.cosine) + ", change of L " + text(thresholds.lse_change), config);
  }
  for (const double bound : {0.5, 0.3, 0.2, 0.14, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005}) {
    add("error_bound", "bound=" + text(bound), {.refresh = "error_bound", .bound = bound});
  }
}

void add_sparse(std::vector<PolicyPoint>& points) {
  for (const double density : {0.1, 0.2, 0.3, 0.4, 0.6, 0.8}) {
    const auto add = [&](const std::string& name, Correction correction, Residual residual) {
      points.push_back({.curve = name,
                        .setting = "density=" + text(density),
                        .attention = {.correction = correction, .density = density, .residual = residual}});
    };
    add("sparse alone", Correction::kNone, Residual::kDropped);
    add("sparse + residual", Correction::kNone, Residual::kCached);
    add("sparse + residual, mean key", Correction::kMeanKey, Residual::kCached);
  }
}

}  // namespace

std::vector<PolicyPoint> policy_points(const Redundancy& redundancy) {
  std::vector<PolicyPoint> points;
  for (const Correction correction : {Correction::kNone, Correction::kMeanKey}) {
    add_refresh_policies(points, redundancy, correction);
  }
  add_sparse(points);
  return points;
}

PolicyReplay::PolicyReplay(int64_t layers, std::vector<PolicyPoint> points)
    : before_(static_cast<size_t>(layers)), begun_(static_cast<size_t>(layers)) {
  for (PolicyPoint& point : points) {
    Replayed& replayed = policies_.emplace_back(Replayed{.point = std::move(point)});
    for (int64_t layer = 0; layer < layers; ++layer) replayed.layers.push_back({.layer = layer});
  }
}

void PolicyReplay::observe(const AttentionObservation& observation) {
  const auto layer = static_cast<size_t>(observation.layer);
  const bool clean = observation.pass.kind == Pass::Kind::kClean;
  if (clean && !begun_[layer]) return;  // the context is replayed at a prompt change
  begun_[layer] = !clean;
  const bool first = !clean && observation.pass.step_index == 0;
  const at::Tensor right = merge_by_operators(observation.external, observation.internal).output.to(at::kFloat);
  const double size = right.square().sum().item<double>();
  if (first) before_[layer].clear();
  predict(observation, right);
  const KeyRange past = observation.kv.past();
  for (Replayed& policy : policies_) {
    LayerExternal& kept = policy.layers[layer];
    if (first) kept.cache.clear();
    const ExternalPass pass{
        observation.query, past, policy.point.attention, observation.pass, observation.kv.tokens_per_frame(),
        observation.layer};
    const HeadSelection refreshed = heads_to_refresh(kept.cache, pass, observation.internal);
    refresh(kept.cache, refreshed, pass);
    kept.work.count(refreshed, observation.query.size(2));
    const AttentionState external = reused_external(observation.query, kept.cache.state());
    const at::Tensor output =
        external.empty() ? observation.internal.output : merge_by_operators(external, observation.internal).output;
    policy.square_error += (output.to(at::kFloat) - right).square().sum().item<double>() / size;
    ++policy.passes;
  }
}

void PolicyReplay::predict(const AttentionObservation& observation, const at::Tensor& right) {
  std::vector<KeptPass>& before = before_[static_cast<size_t>(observation.layer)];
  const at::Tensor query = observation.query.to(at::kFloat);
  const AttentionState& now = observation.external;
  if (before.size() == 2) {
    const at::Tensor last = before[1].query - before[0].query, next = query - before[1].query;
    const at::Tensor step = (last * next).sum({0, 1, 3}) / last.square().sum({0, 1, 3}).clamp_min(1e-20);  // [N]
    const AttentionState &a = before[0].external, &b = before[1].external;
    const at::Tensor output = b.output.to(at::kFloat);
    const at::Tensor predicted = output + step.view({1, 1, -1, 1}) * (output - a.output.to(at::kFloat));
    const at::Tensor lse = b.lse + step.view({1, -1, 1}) * (b.lse - a.lse);
    const std::array<AttentionState, 4> ways = {
        {{output, now.lse}, {predicted, now.lse}, {output, b.lse}, {predicted, lse}}};
    const double size = right.square().sum().item<double>();
    for (size_t i = 0; i < ways.size(); ++i) {
      const at::Tensor wrong = merge_by_operators(ways[i], observation.internal).output.to(at::kFloat);
      predictions_[i].square_error += (wrong - right).square().sum().item<double>() / size;
      ++predictions_[i].passes;
    }
    before.erase(before.begin());
  }
  before.push_back({query, now});
}

std::vector<PolicyPoint> PolicyReplay::result() const {
  std::vector<PolicyPoint> points;
  for (const Replayed& policy : policies_) {
    PolicyPoint& point = points.emplace_back(policy.point);
    double computed = 0, all = 0;
    for (const LayerExternal& layer : policy.layers) {
      computed += static_cast<double>(layer.work.computed());
      all += static_cast<double>(layer.work.computed() + layer.work.reused());
    }
    if (all > 0) point.share = computed / all;
    if (policy.passes > 0) point.error = std::sqrt(policy.square_error / static_cast<double>(policy.passes));
  }
  for (const Prediction& way : predictions_) {
    PolicyPoint& point = points.emplace_back(PolicyPoint{.curve = way.name});
    if (way.passes > 0) point.error = std::sqrt(way.square_error / static_cast<double>(way.passes));
  }
  return points;
}

}  // namespace flashblock
