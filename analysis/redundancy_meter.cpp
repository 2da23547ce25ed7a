#include "analysis/redundancy_meter.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace flashblock {
namespace {

/// Passes of a block that later ones are compared with: the first one and the last ones.
constexpr size_t kKeptPasses = 7;

// Of each head, [N] float64 on the CPU. Outputs are [B, L, N, D], log-sum-exps [B, N, L].

at::Tensor to_host(const at::Tensor& heads) { return heads.to(at::kCPU, at::kDouble); }

at::Tensor mean_cosine(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.to(at::kFloat), y = b.to(at::kFloat);
  const at::Tensor norms = (x.square().sum(-1) * y.square().sum(-1)).sqrt().clamp_min(1e-20);
  return to_host(((x * y).sum(-1) / norms).mean(at::IntArrayRef({0, 1})));
}

at::Tensor relative_error(const at::Tensor& found, const at::Tensor& wanted) {
  const at::Tensor x = found.to(at::kFloat), y = wanted.to(at::kFloat);
  return to_host(((x - y).square().sum({0, 1, 3}) / y.square().sum({0, 1, 3}).clamp_min(1e-20)).sqrt());
}

at::Tensor lse_change(const at::Tensor& a, const at::Tensor& b) {
  return to_host((a - b).abs().mean(at::IntArrayRef({0, 2})));
}

at::Tensor share_of(const AttentionState& external, const AttentionState& internal) {
  return to_host((external.lse - internal.lse).sigmoid().mean(at::IntArrayRef({0, 2})));
}

double mean_of(const at::Tensor& heads) { return heads.mean().item<double>(); }

}  // namespace

RedundancyMeter::RedundancyMeter(int64_t layers, int64_t heads)
    : layers_(layers), heads_(heads), kept_(static_cast<size_t>(layers)) {}

RedundancyMeter::Sum RedundancyMeter::empty_sum() const {
  return {at::zeros({layers_, heads_}, at::kDouble), at::zeros({layers_, 1}, at::kDouble)};
}

void RedundancyMeter::add(Sum& sum, int64_t layer, const at::Tensor& heads) const {
  sum.sum[layer] += heads;
  sum.count[layer] += 1;
}

HeadGrid RedundancyMeter::mean(const Sum& sum) const {
  const at::Tensor means = (sum.sum / sum.count).contiguous();  // 0 / 0 is not measured
  HeadGrid grid(static_cast<size_t>(layers_));
  for (int64_t layer = 0; layer < layers_; ++layer) {
    const double* const row = means[layer].const_data_ptr<double>();
    grid[static_cast<size_t>(layer)].assign(row, row + heads_);
  }
  return grid;
}

RedundancyMeter::PairSum& RedundancyMeter::pair_sum(int64_t from, int64_t to) {
  const auto found = std::find_if(pairs_.begin(), pairs_.end(),
                                  [&](const PairSum& pair) { return pair.from == from && pair.to == to; });
  if (found != pairs_.end()) return *found;
  PairSum pair{.from = from, .to = to};
  for (Sum& sum : pair.changes) sum = empty_sum();
  return pairs_.emplace_back(std::move(pair));
}

void RedundancyMeter::compare(const KeptPass& earlier, const KeptPass& now, int64_t layer) {
  const at::Tensor fresh = merge_by_operators(now.external, now.internal).output;
  const at::Tensor stale = merge_by_operators(earlier.external, now.internal).output;
  // In the order of Change.
  const std::array<at::Tensor, kChanges> changes = {mean_cosine(earlier.external.output, now.external.output),
                                                    relative_error(earlier.external.output, now.external.output),
                                                    lse_change(earlier.external.lse, now.external.lse),
                                                    mean_cosine(earlier.internal.output, now.internal.output),
                                                    relative_error(earlier.internal.output, now.internal.output),
                                                    relative_error(stale, fresh)};
  PairSum& pair = pair_sum(earlier.pass, now.pass);
  for (size_t i = 0; i < kChanges; ++i) add(pair.changes[i], layer, changes[i]);
  if (earlier.pass + 1 != now.pass || now.clean) return;
  BlockSum& block = blocks_.back();
  block.cosine += mean_of(changes[static_cast<size_t>(Change::kExternalCosine)]);
  block.internal_cosine += mean_of(changes[static_cast<size_t>(Change::kInternalCosine)]);
  ++block.compared;
}

void RedundancyMeter::observe(const AttentionObservation& observation) {
  FB_CHECK(observation.computed.all().item<bool>(), "passes are compared where each computes its attention");
  std::vector<KeptPass>& kept = kept_[static_cast<size_t>(observation.layer)];
  const bool clean = observation.pass.kind == Pass::Kind::kClean;
  if (clean && kept.empty()) return;  // the context is replayed at a prompt change
  if (!clean && observation.pass.step_index == 0) {
    kept.clear();
    if (observation.layer == 0) blocks_.emplace_back();
  }
  const int64_t pass = clean ? kept.back().pass + 1 : observation.pass.step_index;
  KeptPass now{.pass = pass,
               .clean = clean,
               .external = observation.external,
               .internal = {observation.internal.output.clone(), observation.internal.lse.clone()}};
  const at::Tensor share = share_of(now.external, now.internal);
  while (static_cast<int64_t>(shares_.size()) <= pass) shares_.push_back(empty_sum());
  add(shares_[static_cast<size_t>(pass)], observation.layer, share);
  if (!clean) {
    blocks_.back().share += mean_of(share);
    ++blocks_.back().seen;
  }
  for (const KeptPass& earlier : kept) compare(earlier, now, observation.layer);
  if (kept.size() == kKeptPasses) kept.erase(kept.begin() + 1);
  kept.push_back(std::move(now));
  if (clean) kept.clear();
}

Redundancy RedundancyMeter::result() const {
  Redundancy result{.layers = layers_, .heads = heads_, .passes = static_cast<int64_t>(shares_.size())};
  for (const PairSum& sums : pairs_) {
    PassPair pair{.from = sums.from, .to = sums.to};
    for (size_t i = 0; i < kChanges; ++i) pair.changes[i] = mean(sums.changes[i]);
    result.pairs.push_back(std::move(pair));
  }
  std::sort(result.pairs.begin(), result.pairs.end(),
            [](const PassPair& a, const PassPair& b) { return std::pair(a.to, a.from) < std::pair(b.to, b.from); });
  for (const Sum& share : shares_) result.external_share.push_back(mean(share));
  const auto over = [](double sum, int64_t count) {
    return count > 0 ? sum / static_cast<double>(count) : kNotMeasured;
  };
  for (const BlockSum& block : blocks_) {
    result.blocks.push_back({.external_cosine = over(block.cosine, block.compared),
                             .internal_cosine = over(block.internal_cosine, block.compared),
                             .external_share = over(block.share, block.seen)});
  }
  return result;
}

void RefreshMeter::observe(const AttentionObservation& observation) {
  const auto layer = static_cast<size_t>(observation.layer);
  std::vector<Count>& passes = counts_[layer];
  const bool clean = observation.pass.kind == Pass::Kind::kClean;
  if (clean && !denoised_[layer]) return;  // of a given start, or of a context that is replayed
  denoised_[layer] = !clean;
  if (!clean) steps_ = std::max(steps_, observation.pass.step_index + 1);
  const auto pass = static_cast<size_t>(clean ? steps_ : observation.pass.step_index);
  if (passes.size() <= pass) passes.resize(pass + 1);
  ++passes[pass].all;
  const at::Tensor computed = observation.computed.to(at::kLong);
  passes[pass].computed = passes[pass].computed.defined() ? passes[pass].computed.add(computed) : computed;
}

PolicyRefresh RefreshMeter::result(const std::string& name) const {
  PolicyRefresh refresh{.name = name};
  double computed = 0, all = 0;
  for (const std::vector<Count>& passes : counts_) {
    auto& layer = refresh.computed.emplace_back();
    for (const Count& count : passes) {
      auto& row = layer.emplace_back(static_cast<size_t>(heads_), kNotMeasured);
      if (count.all == 0) continue;
      const at::Tensor heads = to_host(count.computed);
      for (int64_t head = 0; head < heads_; ++head) {
        const double times = heads[head].item<double>();
        row[static_cast<size_t>(head)] = times / static_cast<double>(count.all);
        computed += times;
        all += static_cast<double>(count.all);
      }
    }
  }
  if (all > 0) refresh.share = computed / all;
  return refresh;
}

}  // namespace flashblock
