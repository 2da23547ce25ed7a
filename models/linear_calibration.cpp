#include "models/linear_calibration.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/error.h"
#include "models/int8_linear.h"
#include "weights/tensor_file.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

constexpr double kShares[] = {0.25, 0.4, 0.5, 0.6, 0.75, 0.9};  ///< of the input in a factor's logarithm
constexpr double kLargestExponent = 12;

/// Channels whose input or weight is zero get no exponent.
at::Tensor exponents_for(const at::Tensor& largest_input, const at::Tensor& largest_weight, double share) {
  const at::Tensor used = (largest_input > 0).logical_and(largest_weight > 0);
  if (!used.any().item<bool>()) return {};
  const auto log2 = [&](const at::Tensor& x) { return at::log2(at::where(used, x, at::ones_like(x))); };
  const at::Tensor wanted = log2(largest_input) * share - log2(largest_weight) * (1 - share);
  const at::Tensor middle = wanted.masked_select(used).median();  // a factor of all channels changes nothing
  const at::Tensor whole = at::round(wanted - middle).clamp(-kLargestExponent, kLargestExponent);
  return at::where(used, whole, at::zeros_like(whole)).to(at::kChar);
}

/// 2^(sign * exponent), fp32.
at::Tensor powers(const at::Tensor& exponents, double sign) { return at::exp2(exponents.to(at::kFloat) * sign); }

double error_of(const at::Tensor& weight, const at::Tensor& rows, const at::Tensor& expected,
                const at::Tensor& exponents) {
  Linear layer{weight, at::zeros({weight.size(0)}, weight.options())};
  at::Tensor x = rows;
  if (exponents.defined()) {
    layer.weight = weight * powers(exponents, 1);
    x = rows * powers(exponents, -1);
  }
  const at::Tensor actual = plain::int8_linear(plain::quantise_rows(x), quantised(layer));
  return (at::norm(actual - expected) / at::norm(expected)).item<double>();
}

std::string prefix_of(bool clean_pass, size_t layer) {
  return (clean_pass ? "clean_pass.layers." : "layers.") + std::to_string(layer) + ".";
}

}  // namespace

void InputSample::add(const at::Tensor& x) {
  const at::Tensor rows = x.flatten(0, -2);
  const at::Tensor largest = at::amax(at::abs(rows), 0).to(at::kFloat);
  largest_ = largest_.defined() ? at::maximum(largest_, largest) : largest;
  const int64_t wanted = std::min({kRowsOfACall, kMostRows - count_, rows.size(0)});
  if (wanted <= 0) return;
  const at::Tensor index = at::arange(wanted, rows.options().dtype(at::kLong)).mul(rows.size(0)).floor_divide(wanted);
  rows_.push_back(rows.index_select(0, index));
  count_ += wanted;
}

at::Tensor InputSample::rows() const {
  FB_CHECK(!rows_.empty(), "an empty sample");
  return at::cat(rows_);
}

SmoothingChoice choose_smoothing(const at::Tensor& weight, const InputSample& sample) {
  const at::Tensor wide = weight.to(at::kFloat), rows = sample.rows().to(at::kFloat);
  const at::Tensor expected = at::linear(rows, wide);
  SmoothingChoice choice;
  choice.error_without = choice.error_with = error_of(wide, rows, expected, {});
  const at::Tensor largest_weight = at::amax(at::abs(wide), 0);
  for (const double share : kShares) {
    const at::Tensor exponents = exponents_for(sample.largest(), largest_weight, share);
    if (!exponents.defined()) break;
    const double error = error_of(wide, rows, expected, exponents);
    if (!(error < choice.error_with)) continue;
    choice.error_with = error;
    choice.exponents = exponents;
  }
  return choice;
}

void smooth(LayerWeights& layer, const LayerSmoothing& smoothing) {
  for (const SmoothedLinear& of : kSmoothedLinears) {
    const at::Tensor& exponents = smoothing.*of.exponents;
    at::Tensor& weight = (layer.*of.weights).weight;
    if (exponents.defined()) weight = weight * powers(exponents.to(weight.device()), 1).to(weight.scalar_type());
  }
  if (smoothing.cross_q.defined()) {
    Linear& norm = layer.cross_norm;
    const at::Tensor factors = powers(smoothing.cross_q.to(norm.weight.device()), -1).to(norm.weight.scalar_type());
    norm.weight = norm.weight * factors;
    norm.bias = norm.bias * factors;
  }
  // Layers that are streamed all have the same tensors.
  Linear& down = layer.ffn_down;
  const auto options = down.weight.options().dtype(at::kFloat);
  down.input_factors = smoothing.ffn_down.defined() ? powers(smoothing.ffn_down.to(options.device()), -1)
                                                    : at::ones({down.weight.size(1)}, options);
}

std::pair<at::Tensor, at::Tensor> modulation_factors(const LayerSmoothing& smoothing, int64_t dim,
                                                     const at::TensorOptions& options) {
  const auto factors = [&](const at::Tensor& exponents) {
    return exponents.defined() ? powers(exponents, -1).to(options) : at::ones({dim}, options);
  };
  return {factors(smoothing.self_qkv), factors(smoothing.ffn_up)};
}

void write_calibration(const std::filesystem::path& file, const LinearCalibration& calibration,
                       const std::string& model, const std::string& program) {
  NamedTensors tensors;
  for (const bool clean_pass : {false, true}) {
    const auto& layers = clean_pass ? calibration.clean_pass_layers : calibration.layers;
    for (size_t i = 0; i < layers.size(); ++i)
      for (const SmoothedLinear& of : kSmoothedLinears)
        if (const at::Tensor& exponents = layers[i].*of.exponents; exponents.defined())
          tensors.emplace_back(prefix_of(clean_pass, i) + std::string(of.name), exponents.cpu());
  }
  write_tensor_file(file, tensors,
                    {{"format", std::string(kCalibrationFormat)}, {"model", model}, {"program", program}});
}

LinearCalibration read_calibration(const std::filesystem::path& file, const std::string& model,
                                   const TransformerConfig& config) {
  const auto refuse = [&](const std::string& problem) { throw ConfigError(file.string() + ": " + problem); };
  std::shared_ptr<const WeightStore> store;
  try {
    store = WeightStore::open(file);
  } catch (const WeightsError& error) {
    throw ConfigError("cannot read the calibration: " + std::string(error.what()));
  }
  const auto fact = [&](const std::string& name) {
    const auto found = store->metadata().find(name);
    return found == store->metadata().end() ? std::string() : found->second;
  };
  if (fact("format") != kCalibrationFormat) refuse("no calibration; flashblock calibrate writes them");
  if (fact("model") != model)
    refuse("a calibration of the model " + fact("model") + ", and this is " + model +
           "; flashblock calibrate makes one for it");
  size_t read = 0;
  const auto layers_of = [&](bool clean_pass) {
    std::vector<LayerSmoothing> layers(static_cast<size_t>(config.layers));
    for (size_t i = 0; i < layers.size(); ++i) {
      for (const SmoothedLinear& of : kSmoothedLinears) {
        const std::string name = prefix_of(clean_pass, i) + std::string(of.name);
        if (!store->contains(name)) continue;
        const int64_t in = of.weights == &LayerWeights::ffn_down ? config.ffn_dim : config.dim;
        const at::Tensor exponents = store->tensor(name);
        if (exponents.scalar_type() != at::kChar || exponents.sizes() != at::IntArrayRef({in}))
          refuse(name + " does not fit the model: wanted " + std::to_string(in) + " numbers of 8 bits");
        layers[i].*of.exponents = exponents.clone();
        ++read;
      }
    }
    return layers;
  };
  LinearCalibration calibration{.layers = layers_of(false), .clean_pass_layers = {}};
  if (config.clean_pass_weights) calibration.clean_pass_layers = layers_of(true);
  if (read != store->names().size()) refuse("it has tensors for more than the layers of this model");
  return calibration;
}

}  // namespace flashblock
