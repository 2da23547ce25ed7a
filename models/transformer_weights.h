// The tensors of a video transformer, and their names in published checkpoints.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/model_config.h"

namespace flashblock {

class InputSample;
class WeightStore;
struct CalibrationSamples;
struct LayerSmoothing;
struct LinearCalibration;

/// Arithmetic of the linears of the transformer's layers.
enum class LinearPrecision {
  kNative,  ///< the model's dtype
  kInt8,    ///< 8-bit integers: models/int8_linear.h. Not the text's keys and values, computed once per prompt
};
/// Throws: ConfigError that names the value found and all values possible.
LinearPrecision parse_linear_precision(std::string_view name);
std::string to_string(LinearPrecision precision);

/// y = x weight^T + bias. weight [out, in], bias [out].
struct Linear {
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor scales;  ///< of an int8 weight: row r is weight[r] * scales[r]. [out] float32; else undefined
  /// Of an int8 weight: what its input is multiplied by before it is quantised. [in] float32; undefined: nothing
  at::Tensor input_factors;
  std::shared_ptr<InputSample> sample;  ///< gets its inputs in the dtype; null: nobody wants them

  LinearPrecision precision() const { return scales.defined() ? LinearPrecision::kInt8 : LinearPrecision::kNative; }
};

/// How the linears of all layers compute.
struct LinearOptions {
  LinearOptions(LinearPrecision precision = LinearPrecision::kNative,
                std::shared_ptr<const LinearCalibration> calibration = {})
      : precision(precision), calibration(std::move(calibration)) {}

  LinearPrecision precision;
  std::shared_ptr<const LinearCalibration> calibration;  ///< of int8 linears; null: none
  std::shared_ptr<CalibrationSamples> samples = {};      ///< filled by linears in the dtype; null: nobody wants them
};

/// One transformer layer. Projections of the same input are stored as one, their rows concatenated.
struct LayerWeights {
  Linear self_qkv, self_out;              ///< [3 dim, dim], [dim, dim]
  at::Tensor self_norm_q, self_norm_k;    ///< [dim]
  Linear cross_norm;                      ///< weight and bias [dim]: the affine norm before the cross-attention
  Linear cross_q, cross_kv, cross_out;    ///< [dim, dim], [2 dim, dim], [dim, dim]
  at::Tensor cross_norm_q, cross_norm_k;  ///< [dim]
  Linear ffn_up, ffn_down;                ///< [ffn_dim, dim], [dim, ffn_dim]
};

/// All tensors of a layer, in a fixed order; some may be undefined.
std::vector<at::Tensor*> tensors_of(LayerWeights& layer);

/// Weights outside the layers. Immutable once loaded.
struct TransformerEnds {
  Linear patch;                               ///< [dim, in_channels * patch volume]: (channel, time, row, column)
  Linear text_in, text_out;                   ///< [dim, text_dim], [dim, dim]
  Linear time_in, time_out;                   ///< [dim, freq_dim], [dim, dim]
  Linear time_projection;                     ///< [6 dim, dim]
  std::vector<at::Tensor> layer_modulations;  ///< per layer [1, 6, dim]
  /// Per layer, what shift and scale of self-attention and of the feed-forward network are multiplied by, each [dim];
  /// empty: nothing. See modulation_factors in linear_calibration.h.
  std::vector<std::pair<at::Tensor, at::Tensor>> modulation_factors;
  at::Tensor head_modulation;  ///< [1, 2, dim]
  Linear head;                 ///< [patch volume * out_channels, dim]: (time, row, column, channel)
};

/// Whether a tensor, by its published name, belongs to the weights that the clean pass has for itself: there a
/// component begins with `memory_`, in layers the last one, else the first one. Source: Self_Gradient_Forcing_Plus
/// `wan/modules/causal_model.py`, enable_dual_full_expert.
bool is_clean_pass_weight(const std::string& name);

/// The weights of the denoising passes in `store`, and those of the clean pass under the same names.
std::shared_ptr<const WeightStore> denoising_weights(const WeightStore& store);
std::shared_ptr<const WeightStore> clean_pass_weights(const WeightStore& store);

/// Throws: WeightsError listing all tensors that are missing, mis-shaped or unexpected, by their names in Wan's
/// published state dict.
void check_transformer_weights(const WeightStore& store, const TransformerConfig& config);

/// Both require a store that check_transformer_weights accepts.
TransformerEnds load_transformer_ends(const WeightStore& store, const TransformerConfig& config, at::Device device,
                                      at::ScalarType dtype);
/// `smoothing`: of int8 linears; null: none.
LayerWeights load_layer(const WeightStore& store, const TransformerConfig& config, int64_t layer, at::Device device,
                        at::ScalarType dtype, LinearPrecision precision, const LayerSmoothing* smoothing = nullptr);

}  // namespace flashblock
