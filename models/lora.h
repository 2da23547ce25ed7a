// Low-rank adapters (LoRA), merged into the base weights.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace flashblock {

class WeightStore;

/// An adapter and its scale.
struct LoraAdapter {
  std::shared_ptr<const WeightStore> weights;
  double scale = 1.0;
};

/// `base` with W + sum of scale * alpha / rank * B A in place of every weight W that an adapter changes. A weight is
/// merged when it is read, so one merged weight is in memory at a time. Numerics: float32, rounded once to the dtype of
/// `base` (bfloat16 where that has 8 bits). Names: every prefix, spelling of a module and ending of lora_names.h;
/// alpha: the adapter's tensor, else as lora_strength.h finds it, else the rank. Differences (`M.diff`, `M.diff_b`,
/// `M.diff_m`) are added to weight, bias and modulation of M, times scale. Throws: WeightsError listing everything in
/// an adapter that matches nothing in `base`, and for adapters that are no plain product (DoRA, LoHa, LoKr, the middle
/// matrix of LoCon). Source: Hu et al. 2021, arXiv 2106.09685; PEFT `tuners/lora/layer.py` (get_delta_weight); kohya
/// sd-scripts `networks/lora.py`.
std::shared_ptr<const WeightStore> with_lora(std::shared_ptr<const WeightStore> base,
                                             const std::vector<LoraAdapter>& adapters);

/// Whether the tensors are those of an adapter.
bool is_lora(const WeightStore& weights);

/// The least and the largest of some numbers.
struct NumberRange {
  double least = 0, largest = 0;
  bool any = false;

  void add(double value) {
    least = any ? std::min(least, value) : value;
    largest = any ? std::max(largest, value) : value;
    any = true;
  }
};

/// What an adapter is, over all modules that it changes.
struct LoraSummary {
  int64_t products = 0, differences = 0;  ///< modules
  NumberRange rank, alpha;
  NumberRange strength;              ///< alpha / rank, or alpha / sqrt(rank)
  bool square_root = false;          ///< the second of these, for some module
  std::set<std::string> alpha_from;  ///< where alpha is stated
};

/// Describes an adapter without the model that it is for. Throws: WeightsError for one that is no plain product, and
/// for a configuration that cannot be used.
LoraSummary describe_lora(const WeightStore& adapter);

}  // namespace flashblock
