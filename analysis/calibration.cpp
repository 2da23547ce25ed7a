#include "analysis/calibration.h"

#include <c10/core/InferenceMode.h>

#include <utility>

#include "analysis/progress_sink.h"
#include "pipeline/loaded_model.h"
#include "render/session_setup.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

/// Exponents of the layers of one set of weights; `kinds` gets what they change, summed up.
std::vector<LayerSmoothing> choose(const WeightStore& weights, const std::vector<LayerSamples>& samples,
                                   const LoadedModel& model, std::vector<CalibratedLinears>& kinds) {
  std::vector<LayerSmoothing> layers(samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    LayerWeights layer = load_layer(weights, model.transformer_config(), static_cast<int64_t>(i), model.device(),
                                    model.dtype(), LinearPrecision::kNative);
    for (size_t k = 0; k < kSmoothedLinears.size(); ++k) {
      const SmoothedLinear& of = kSmoothedLinears[k];
      const InputSample& sample = *(samples[i].*of.sample);
      if (sample.empty()) continue;  // the clean pass does not run the whole last layer
      SmoothingChoice choice = choose_smoothing((layer.*of.weights).weight, sample);
      CalibratedLinears& kind = kinds[k];
      ++kind.layers;
      kind.smoothed += choice.exponents.defined() ? 1 : 0;
      kind.error_without += choice.error_without;
      kind.error_with += choice.error_with;
      layers[i].*of.exponents = std::move(choice.exponents);
    }
  }
  return layers;
}

}  // namespace

std::optional<Calibration> calibrate(const RenderSetup& setup, LoadedModel& model, RenderObserver& observer,
                                     const std::stop_token& stop) {
  const c10::InferenceMode no_gradients;
  const auto samples = std::make_shared<CalibrationSamples>();
  const auto weights = model.open_transformer();
  LinearOptions linears;
  linears.samples = samples;
  const TransformerConfig& config = model.transformer_config();
  {
    const SessionInputs inputs = make_inputs(setup, model, observer);
    observer.stage("loading", {.blocks = setup.plan.blocks});
    const auto transformer = VideoTransformer::load(*weights, config, model.device(), model.dtype(), linears);
    Profile profile;
    RenderSession session(transformer, model.decoder(), session_options(setup, model), profile);
    ProgressSink sink(observer, setup.plan.blocks);
    observer.stage("rendering", {.blocks = setup.plan.blocks});
    if (session.render(setup.plan, inputs, sink, stop).counts.blocks_written < setup.plan.blocks) return {};
  }
  observer.stage("calibrating", {.block = setup.plan.blocks, .blocks = setup.plan.blocks});
  Calibration result;
  for (const SmoothedLinear& of : kSmoothedLinears) result.kinds.push_back({.name = std::string(of.name)});
  const auto denoising = config.clean_pass_weights ? denoising_weights(*weights) : weights;
  result.linears.layers = choose(*denoising, samples->layers, model, result.kinds);
  if (config.clean_pass_weights)
    result.linears.clean_pass_layers =
        choose(*clean_pass_weights(*weights), samples->clean_pass_layers, model, result.kinds);
  for (CalibratedLinears& kind : result.kinds) {
    if (kind.layers == 0) continue;
    kind.error_without /= static_cast<double>(kind.layers);
    kind.error_with /= static_cast<double>(kind.layers);
  }
  return result;
}

}  // namespace flashblock
