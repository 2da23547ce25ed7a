#include "analysis/redundancy.h"

#include <algorithm>
#include <cmath>

#include "analysis/policy_curves.h"
#include "analysis/progress_sink.h"
#include "analysis/redundancy_meter.h"
#include "core/error.h"
#include "render/session_setup.h"

namespace flashblock {
namespace {

/// Whether the video was rendered to its end.
bool watch_video(const RenderSetup& setup, const SessionInputs& inputs, LoadedModel& model,
                 const AttentionConfig& attention, AttentionObserver& meter, Profile& profile, RenderObserver& observer,
                 const std::stop_token& stop) {
  SessionOptions options = session_options(setup, model);
  options.attention = attention;
  options.observer = &meter;
  options.keep_pixels = false;
  ProgressSink sink(observer, setup.plan.blocks);
  RenderSession session(model.transformer(), model.decoder(), options, profile);
  return session.render(setup.plan, inputs, sink, stop).counts.blocks_written == setup.plan.blocks;
}

/// Whether the gate refreshes a head in `pass` that was last computed in `last`.
bool gate_opens(const Redundancy& redundancy, const GateThresholds& thresholds, size_t layer, size_t head, int64_t last,
                int64_t pass) {
  const PassPair* pair = redundancy.pair(last, pass);
  if (!pair) return true;
  const double cosine = pair->of(Change::kExternalCosine)[layer][head];
  const double change = pair->of(Change::kLseChange)[layer][head];
  return cosine < thresholds.cosine || change > thresholds.lse_change;
}

}  // namespace

double grid_mean(const HeadGrid& grid) {
  double sum = 0;
  int64_t count = 0;
  for (const std::vector<double>& row : grid) {
    for (const double value : row) {
      if (std::isnan(value)) continue;
      sum += value;
      ++count;
    }
  }
  return count > 0 ? sum / static_cast<double>(count) : kNotMeasured;
}

const PassPair* Redundancy::pair(int64_t from, int64_t to) const {
  const auto found = std::find_if(pairs.begin(), pairs.end(),
                                  [&](const PassPair& pair) { return pair.from == from && pair.to == to; });
  return found == pairs.end() ? nullptr : &*found;
}

RefreshGate calibrate_gate(const Redundancy& redundancy, const GateThresholds& thresholds, const std::string& name) {
  RefreshGate gate{.name = name, .heads = redundancy.heads, .steps = redundancy.passes - 1};
  for (const HeadGrid& passes : published_gate(redundancy, thresholds).computed) {
    auto& layer = gate.computes.emplace_back();
    for (const std::vector<double>& heads : passes) {
      auto& row = layer.emplace_back();
      for (const double computed : heads) row.push_back(std::isnan(computed) || computed > 0);
    }
  }
  return gate;
}

PolicyRefresh published_gate(const Redundancy& redundancy, const GateThresholds& thresholds) {
  PolicyRefresh refresh{.name = "published gate"};
  const auto heads = static_cast<size_t>(redundancy.heads);
  for (size_t layer = 0; layer < static_cast<size_t>(redundancy.layers); ++layer) {
    auto& passes = refresh.computed.emplace_back();
    std::vector<int64_t> last(heads, 0);
    for (int64_t pass = 0; pass < redundancy.passes; ++pass) {
      auto& row = passes.emplace_back(heads, kNotMeasured);
      const HeadGrid& shares = redundancy.external_share[static_cast<size_t>(pass)];
      for (size_t head = 0; head < heads; ++head) {
        if (std::isnan(shares[layer][head])) continue;  // no attention in this pass
        const bool computed = pass == 0 || gate_opens(redundancy, thresholds, layer, head, last[head], pass);
        row[head] = computed ? 1 : 0;
        if (computed) last[head] = pass;
      }
    }
  }
  HeadGrid all;
  for (const HeadGrid& layer : refresh.computed) all.insert(all.end(), layer.begin(), layer.end());
  refresh.share = grid_mean(all);
  return refresh;
}

std::optional<Redundancy> measure_redundancy(const RenderSetup& setup, LoadedModel& model,
                                             const RedundancyOptions& options, Profile& profile,
                                             RenderObserver& observer, const std::stop_token& stop) {
  if (setup.plan.initial_frames == 0 && setup.plan.blocks < 2) {
    throw ConfigError("the video is only one frame block, so there is no external attention: a longer video is needed");
  }
  const SessionInputs inputs = make_inputs(setup, model, observer);
  const TransformerConfig& transformer = model.transformer_config();
  const std::vector<WatchedPolicy>& policies = options.policies;
  const size_t videos = policies.size() + (options.points ? 2 : 1);
  const auto stage = [&](const std::string& name, size_t number) {
    observer.stage(name + " (" + std::to_string(number) + " of " + std::to_string(videos) + ")",
                   {.blocks = setup.plan.blocks});
  };
  stage("every pass", 1);
  RedundancyMeter meter(transformer.layers, transformer.heads);
  const AttentionConfig every_pass{.mode = AttentionConfig::Mode::kFlashblock, .refresh = "every_pass"};
  if (!watch_video(setup, inputs, model, every_pass, meter, profile, observer, stop)) return {};
  Redundancy result = meter.result();
  for (size_t i = 0; i < policies.size(); ++i) {
    stage(policies[i].name, i + 2);
    RefreshMeter refreshes(transformer.layers, transformer.heads);
    if (!watch_video(setup, inputs, model, policies[i].attention, refreshes, profile, observer, stop)) return {};
    result.policies.push_back(refreshes.result(policies[i].name));
  }
  result.policies.push_back(published_gate(result, options.gate));
  if (!options.points) return result;
  stage("all policies next to every pass", videos);
  PolicyReplay replay(transformer.layers, policy_points(result));
  if (!watch_video(setup, inputs, model, every_pass, replay, profile, observer, stop)) return {};
  result.points = replay.result();
  return result;
}

}  // namespace flashblock
