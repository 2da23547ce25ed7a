// Detects quantised checkpoints by the tensors that hold their scales.
#pragma once

#include <string>
#include <vector>

namespace flashblock {

/// The first of `names` that only quantised checkpoints have, such as `blocks.0.ffn.0.weight_scale`; empty: none.
/// Weights that were only rounded to float8 have no scales, and do not count as quantised.
/// Source: LightX2V (FP8, INT8, NVFP4) `tools/convert`, FourOverSix `FourOverSixLinear` (LongLive 2), ModelOpt and
/// compressed-tensors exports, ComfyUI's scaled float8, bitsandbytes.
std::string quantization_tensor(const std::vector<std::string>& names);

}  // namespace flashblock
