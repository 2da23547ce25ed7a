// Smoothing of the inputs of int8 linears. A channel far above the others makes the steps of its rows coarse; it is
// divided by a power of two that the weight's column takes over. What is divided is the norm in front (its modulation,
// or weight and bias), and for the output of GELU the rows as they are quantised. Powers of two round nothing, so that
// only quantising changes. Source: SmoothQuant, arXiv 2211.10438, whose factors are not rounded.
//
// A file of them is safetensors: int8 exponents `layers.N.LINEAR` [in] of the linears in kSmoothedLinears, those of
// weights that the clean pass has for itself as `clean_pass.layers.N.LINEAR`; a linear that is missing is not smoothed.
// Metadata: `program`, `model`, `format` (kCalibrationFormat).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/model_config.h"
#include "models/transformer_weights.h"

namespace flashblock {

/// Inputs of a linear: rows of many calls.
class InputSample {
 public:
  /// Shape: x [..., in]. Rows are evenly spaced ones of each call, up to kMostRows of all calls.
  void add(const at::Tensor& x);

  bool empty() const { return rows_.empty(); }
  at::Tensor largest() const { return largest_; }  ///< [in] fp32, of all rows of all calls
  at::Tensor rows() const;                         ///< [rows, in] in their dtype. Requires: not empty

 private:
  static constexpr int64_t kMostRows = 512, kRowsOfACall = 32;

  at::Tensor largest_;
  std::vector<at::Tensor> rows_;
  int64_t count_ = 0;
};

/// Exponents of one layer, [in] int8: inputs are divided by 2^exponent. Undefined: not smoothed.
struct LayerSmoothing {
  at::Tensor self_qkv, cross_q, ffn_up, ffn_down;
};

/// Samples of the inputs of one layer.
struct LayerSamples {
  std::shared_ptr<InputSample> self_qkv, cross_q, ffn_up, ffn_down;
};

/// The linears that are smoothed, by their names in files.
struct SmoothedLinear {
  std::string_view name;
  Linear LayerWeights::*weights;
  at::Tensor LayerSmoothing::*exponents;
  std::shared_ptr<InputSample> LayerSamples::*sample;
};
inline constexpr std::array<SmoothedLinear, 4> kSmoothedLinears = {{
    {"self_qkv", &LayerWeights::self_qkv, &LayerSmoothing::self_qkv, &LayerSamples::self_qkv},
    {"cross_q", &LayerWeights::cross_q, &LayerSmoothing::cross_q, &LayerSamples::cross_q},
    {"ffn_up", &LayerWeights::ffn_up, &LayerSmoothing::ffn_up, &LayerSamples::ffn_up},
    {"ffn_down", &LayerWeights::ffn_down, &LayerSmoothing::ffn_down, &LayerSamples::ffn_down},
}};

/// Of all layers.
struct LinearCalibration {
  std::vector<LayerSmoothing> layers;
  std::vector<LayerSmoothing> clean_pass_layers;  ///< of weights of its own; else empty
};

struct CalibrationSamples {
  std::vector<LayerSamples> layers, clean_pass_layers;
};

/// Exponents for a linear, and the error of the int8 linear on the sample, in norm, without and with them.
struct SmoothingChoice {
  at::Tensor exponents;  ///< undefined: none are better
  double error_without = 0, error_with = 0;
};

/// Tries exponents of largest input^a / largest weight^(1 - a) for some a, by the error on the sample. Shape: weight
/// [out, in] of a float dtype, on the sample's device.
SmoothingChoice choose_smoothing(const at::Tensor& weight, const InputSample& sample);

/// Moves the factors into the layer's weights, before they are quantised. What the layer's two modulations are
/// multiplied by is modulation_factors. Requires: int8 linears follow; a linear in the dtype would not divide its input
/// by ffn_down's factors.
void smooth(LayerWeights& layer, const LayerSmoothing& smoothing);

/// 2^-exponent of the inputs that a modulated norm gives: of self_qkv, then of ffn_up. Shape: each [dim] in the dtype
/// and on the device of `options`; ones if there are no exponents.
std::pair<at::Tensor, at::Tensor> modulation_factors(const LayerSmoothing& smoothing, int64_t dim,
                                                     const at::TensorOptions& options);

inline constexpr std::string_view kCalibrationFormat = "flashblock_calibration 1";

/// Throws: MediaError if the file cannot be written.
void write_calibration(const std::filesystem::path& file, const LinearCalibration& calibration,
                       const std::string& model, const std::string& program);

/// Throws: ConfigError for a file that is no calibration, or one of another model, by its name or by its sizes.
LinearCalibration read_calibration(const std::filesystem::path& file, const std::string& model,
                                   const TransformerConfig& config);

}  // namespace flashblock
