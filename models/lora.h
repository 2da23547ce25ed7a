// Low-rank adapters (LoRA), merged into the base weights.
#pragma once

#include <memory>
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
/// `base` (bfloat16 where that has 8 bits). Names: PEFT's `M.lora_A.weight` and `M.lora_B.weight` (with or without the
/// adapter's name, as in `lora_A.default`), kohya's `lora_unet_M.lora_down.weight` and `.lora_up.weight` with `_` for
/// `.` in M, diffusers' modules in either;
/// `.alpha` beside them, else `lora_alpha` of an adapter_config.json beside the file, else alpha is the rank.
/// `M.diff` and `M.diff_b` are added to weight and bias of M unchanged.
/// Throws: WeightsError listing everything in an adapter that matches nothing in `base`, and for adapters that are no
/// plain product (DoRA, LoHa, LoKr, the middle matrix of LoCon).
/// Source: Hu et al. 2021, arXiv 2106.09685; PEFT `tuners/lora/layer.py` (get_delta_weight); kohya sd-scripts
/// `networks/lora.py`.
std::shared_ptr<const WeightStore> with_lora(std::shared_ptr<const WeightStore> base,
                                             const std::vector<LoraAdapter>& adapters);

}  // namespace flashblock
