// Weights in float8 with a scale, as ComfyUI and its converters write them.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "weights/stored_tensor.h"

namespace flashblock {

/// Gives each float8 weight its scale, value = float32(weight) * scale, and removes the tensors that describe the
/// format. Two spellings: `M.scale_weight` and `M.scale_input` with a marker `scaled_fp8`; `M.weight_scale` and
/// `M.input_scale`, with JSON per module in uint8 tensors `M.comfy_quant` or, for all, under `_quantization_metadata`
/// in the metadata. A scale is one number or one per row. Scales of inputs are for products in float8, and are dropped.
/// Without scales nothing changes. `path` is the file's name in messages.
/// Throws: WeightsError for another format than float8, or a scale that does not fit its weight.
/// Source: ComfyUI `comfy/quant_ops.py` and `comfy/utils.py` (convert_old_quants).
void unpack_scaled_float8(const std::filesystem::path& path, std::map<std::string, StoredTensor>& tensors,
                          const std::map<std::string, std::string>& metadata);

}  // namespace flashblock
