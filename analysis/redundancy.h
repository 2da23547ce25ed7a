// How much attention changes from pass to pass, and how much of it each policy reuses.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "analysis/video_measures.h"
#include "attention/attention_observer.h"
#include "attention/policies/published_gate.h"
#include "render/render.h"

namespace flashblock {

/// One number per layer and head: [layer][head]; not measured (NaN) where a layer computes no attention in that pass.
using HeadGrid = std::vector<std::vector<double>>;

/// How attention differs between two passes over the same frame block. Means over tokens and frame blocks.
enum class Change {
  kExternalCosine,  ///< of A_ext: cosine similarity of the two outputs of a token
  kExternalError,   ///< of A_ext: norm of the difference over the norm of the later one
  kLseChange,       ///< of L_ext: |difference|
  kInternalCosine,  ///< of A_int
  kInternalError,   ///< of A_int
  kOutputError,     ///< of the merged output of the later pass, if it reuses A_ext and L_ext of the earlier one
};
inline constexpr size_t kChanges = 6;

/// Passes are counted from 0; the clean pass is the last one.
struct PassPair {
  int64_t from = 0, to = 0;
  std::array<HeadGrid, kChanges> changes;

  const HeadGrid& of(Change change) const { return changes[static_cast<size_t>(change)]; }
};

/// A frame block that has earlier blocks. Means over layers, heads and denoising passes (the last block has no clean
/// pass).
struct BlockRedundancy {
  double external_cosine = kNotMeasured;  ///< with the previous pass
  double internal_cosine = kNotMeasured;
  double external_share = kNotMeasured;
};

/// What a policy refreshes: [layer][pass][head], share of the frame blocks in which it is computed.
struct PolicyRefresh {
  std::string name;
  std::vector<std::vector<std::vector<double>>> computed;
  double share = kNotMeasured;  ///< computed, of all external attentions
};

/// A policy at one setting.
struct PolicyPoint {
  std::string curve;    ///< name of the policy, the same for all its settings
  std::string setting;  ///< as keys of `attention`
  AttentionConfig attention;
  double share = kNotMeasured;  ///< of the external attentions of all heads and passes, those computed
  double error = kNotMeasured;  ///< of the merged output; see PolicyReplay in policy_curves.h
};

struct Redundancy {
  int64_t layers = 0, heads = 0, passes = 0;
  std::vector<PassPair> pairs;  ///< by `to`, then `from`; up to eight passes all pairs, else first and last ones
  std::vector<HeadGrid> external_share;  ///< of each pass: share of the attention weight on earlier blocks
  std::vector<BlockRedundancy> blocks;
  std::vector<PolicyRefresh> policies;
  std::vector<PolicyPoint> points;  ///< if requested: error against work (policy_curves.h)

  /// Null if that pair was not kept.
  const PassPair* pair(int64_t from, int64_t to) const;
};

/// Mean of the measured values of a grid.
double grid_mean(const HeadGrid& grid);

/// The published gate, from the means over all blocks, as its calibration does: the first pass computes, and a head in
/// a later pass where, since it was last computed, A_ext or L_ext has changed beyond the thresholds. `name`: as in
/// RefreshGate. Attentions that were not measured are computed.
RefreshGate calibrate_gate(const Redundancy& redundancy, const GateThresholds& thresholds, const std::string& name);

/// The refreshes of that gate on what was measured.
PolicyRefresh published_gate(const Redundancy& redundancy, const GateThresholds& thresholds = {});

/// A policy whose refreshes are counted.
struct WatchedPolicy {
  std::string name;
  AttentionConfig attention;
};

/// What measure_redundancy measures besides passes.
struct RedundancyOptions {
  std::vector<WatchedPolicy> policies;
  GateThresholds gate;
  bool points = false;  ///< error against work of all policies, which renders one more video
};

/// Renders the video with every attention computed and compares its passes, then once with each policy to count what it
/// computes. None if `stop` was requested. Throws: Error; ConfigError if no frame block has earlier blocks.
std::optional<Redundancy> measure_redundancy(const RenderSetup& setup, LoadedModel& model,
                                             const RedundancyOptions& options, Profile& profile,
                                             RenderObserver& observer, const std::stop_token& stop = {});

}  // namespace flashblock
