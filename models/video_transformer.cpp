#include "models/video_transformer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>

#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/error.h"
#include "models/layers.h"
#include "models/linear_calibration.h"
#include "models/transformer_layer.h"
#include "models/transformer_weights.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

// [B, F, C, H, W] to tokens [B, L, C * patch volume]: L frame-major, then row, then column; the values of a token
// are ordered (channel, time, row, column), like the weight of the published convolution.
at::Tensor gather_patches(const at::Tensor& latents, const PatchSize& patch) {
  const auto size = latents.sizes();
  return latents
      .view({size[0], size[1] / patch.time, patch.time, size[2], size[3] / patch.height, patch.height,
             size[4] / patch.width, patch.width})
      .permute({0, 1, 4, 6, 3, 2, 5, 7})
      .reshape({size[0], (size[1] / patch.time) * (size[3] / patch.height) * (size[4] / patch.width), -1});
}

// The inverse, for latents like `like`. The order within a token differs: (time, row, column, channel).
at::Tensor scatter_patches(const at::Tensor& tokens, const PatchSize& patch, const at::Tensor& like) {
  const auto size = like.sizes();
  return tokens
      .view({size[0], size[1] / patch.time, size[3] / patch.height, size[4] / patch.width, patch.time, patch.height,
             patch.width, -1})
      .permute({0, 1, 4, 7, 2, 5, 3, 6})
      .reshape({size[0], size[1], -1, size[3], size[4]});
}

void check_call(const at::Tensor& latents, const FrameTimes& times, const TransformerConfig& config,
                const TransformerState& state, int64_t start_frame) {
  const TransformerStateOptions& video = state.options();
  FB_CHECK(latents.dim() == 5 && latents.size(0) == video.batch && latents.size(2) == config.in_channels &&
               latents.size(3) == video.geometry.latent_height() && latents.size(4) == video.geometry.latent_width(),
           "latents ", latents.sizes());
  FB_CHECK(times.values().size() == 1 || std::ssize(times.values()) == latents.size(1), times.values().size(),
           " times of ", latents.size(1), " frames");
  FB_CHECK(start_frame >= state.next_frame(), "frame block at latent frame ", start_frame, " after frames up to ",
           state.next_frame());
  FB_CHECK(state.has_prompt(), "set_prompt must precede forward");
}

/// Of one set of weights; of linears in the dtype, or without a calibration, none.
struct Smoothings {
  std::shared_ptr<const LinearCalibration> calibration;
  const std::vector<LayerSmoothing>* layers = nullptr;  ///< in `calibration`

  const LayerSmoothing* layer(int64_t index) const { return layers ? &layers->at(size_t(index)) : nullptr; }
};

Smoothings smoothings_of(const LinearOptions& linears, bool clean_pass) {
  if (!linears.calibration || linears.precision != LinearPrecision::kInt8) return {};
  const LinearCalibration& of = *linears.calibration;
  return {linears.calibration, clean_pass ? &of.clean_pass_layers : &of.layers};
}

TransformerEnds load_ends(const WeightStore& weights, const TransformerConfig& config, at::Device device,
                          at::ScalarType dtype, const Smoothings& smoothings) {
  TransformerEnds ends = load_transformer_ends(weights, config, device, dtype);
  const auto options = ends.head.weight.options();
  for (int64_t i = 0; smoothings.layers && i < config.layers; ++i)
    ends.modulation_factors.push_back(modulation_factors(*smoothings.layer(i), config.dim, options));
  return ends;
}

/// The next layer's linears show their inputs to samples, which are added.
void take_samples(LayerWeights& layer, std::vector<LayerSamples>& samples) {
  LayerSamples& its = samples.emplace_back();
  for (const SmoothedLinear& of : kSmoothedLinears)
    (layer.*of.weights).sample = its.*of.sample = std::make_shared<InputSample>();
}

}  // namespace

std::shared_ptr<const VideoTransformer> VideoTransformer::load(const WeightStore& weights,
                                                               const TransformerConfig& config, at::Device device,
                                                               at::ScalarType dtype, const LinearOptions& linears) {
  config.validate();
  const c10::InferenceMode inference;
  if (!config.clean_pass_weights)
    return std::shared_ptr<const VideoTransformer>(new VideoTransformer(
        config, load_network(weights, config, device, dtype, linears, WeightSet::kDenoising), std::nullopt));
  return std::shared_ptr<const VideoTransformer>(new VideoTransformer(
      config, load_network(*denoising_weights(weights), config, device, dtype, linears, WeightSet::kDenoising),
      load_network(*clean_pass_weights(weights), config, device, dtype, linears, WeightSet::kCleanPass)));
}

std::shared_ptr<const VideoTransformer> VideoTransformer::stream(std::shared_ptr<const WeightStore> weights,
                                                                 const TransformerConfig& config, at::Device device,
                                                                 at::ScalarType dtype, const LinearOptions& linears) {
  config.validate();
  const c10::InferenceMode inference;
  if (!config.clean_pass_weights)
    return std::shared_ptr<const VideoTransformer>(new VideoTransformer(
        config, stream_network(weights, config, device, dtype, linears, WeightSet::kDenoising), std::nullopt));
  return std::shared_ptr<const VideoTransformer>(new VideoTransformer(
      config, stream_network(denoising_weights(*weights), config, device, dtype, linears, WeightSet::kDenoising),
      stream_network(clean_pass_weights(*weights), config, device, dtype, linears, WeightSet::kCleanPass)));
}

VideoTransformer::Network VideoTransformer::load_network(const WeightStore& weights, const TransformerConfig& config,
                                                         at::Device device, at::ScalarType dtype,
                                                         const LinearOptions& linears, WeightSet set) {
  check_transformer_weights(weights, config);
  const bool clean_pass = set == WeightSet::kCleanPass;
  const Smoothings smoothings = smoothings_of(linears, clean_pass);
  std::vector<LayerWeights> layers;
  for (int64_t i = 0; i < config.layers; ++i) {
    layers.push_back(load_layer(weights, config, i, device, dtype, linears.precision, smoothings.layer(i)));
    if (linears.samples)
      take_samples(layers.back(), clean_pass ? linears.samples->clean_pass_layers : linears.samples->layers);
  }
  return {load_ends(weights, config, device, dtype, smoothings),
          std::make_unique<LayerProvider<LayerWeights>>(std::move(layers))};
}

VideoTransformer::Network VideoTransformer::stream_network(const std::shared_ptr<const WeightStore>& weights,
                                                           const TransformerConfig& config, at::Device device,
                                                           at::ScalarType dtype, const LinearOptions& linears,
                                                           WeightSet set) {
  check_transformer_weights(*weights, config);
  const Smoothings smoothings = smoothings_of(linears, set == WeightSet::kCleanPass);
  const auto read = [weights, config, dtype, precision = linears.precision, smoothings](int64_t layer) {
    return load_layer(*weights, config, layer, at::kCPU, dtype, precision, smoothings.layer(layer));
  };
  return {load_ends(*weights, config, device, dtype, smoothings),
          std::make_unique<LayerProvider<LayerWeights>>(config.layers, read, device)};
}

VideoTransformer::VideoTransformer(const TransformerConfig& config, Network network,
                                   std::optional<Network> clean_network)
    : config_(config), network_(std::move(network)), clean_network_(std::move(clean_network)) {}

VideoTransformer::~VideoTransformer() = default;

void VideoTransformer::set_prompt(TransformerState& state, const at::Tensor& text_embedding) const {
  const c10::InferenceMode inference;
  const int64_t length = text_embedding.size(1);
  FB_CHECK(text_embedding.dim() == 3 && text_embedding.size(2) == config_.text_dim && length <= config_.text_len,
           "text embedding ", text_embedding.sizes(), ", wanted [B, up to ", config_.text_len, ", ", config_.text_dim,
           "]");
  const at::Tensor padded =
      at::constant_pad_nd(text_embedding.to(state.device(), state.dtype()), {0, 0, 0, config_.text_len - length});
  set_text(network_, state, &LayerState::text, padded);
  if (clean_network_) set_text(*clean_network_, state, &LayerState::clean_text, padded);
}

void VideoTransformer::set_text(const Network& network, TransformerState& state, CrossAttentionCache LayerState::*cache,
                                const at::Tensor& padded) const {
  const at::Tensor text = linear(linear_gelu(padded, network.ends.text_in), network.ends.text_out);
  LayerProvider<LayerWeights>::Walk layers = network.layers->walk();
  for (int64_t i = 0; i < config_.layers; ++i) state.layer(i).*cache = text_keys_values(text, layers.layer(i), config_);
}

at::Tensor VideoTransformer::forward(const at::Tensor& latents, const FrameTimes& times, int64_t start_frame, Pass pass,
                                     TransformerState& state) const {
  const c10::InferenceMode inference;
  check_call(latents, times, config_, state, start_frame);
  state.count_pass();
  state.place_past(start_frame + latents.size(1));
  const bool clean = pass.kind == Pass::Kind::kClean, own_weights = clean && clean_network_;
  const Network& network = own_weights ? *clean_network_ : network_;
  auto& modulations = own_weights ? state.clean_modulations() : state.modulations();
  auto known = modulations.find(times);
  if (known == modulations.end()) known = modulations.emplace(times, make_modulation(network, times)).first;
  const Modulation& modulation = known->second;
  const LayerContext context{config_,
                             state.options().attention,
                             pass,
                             state.rotation(start_frame, latents.size(1)),
                             latents.size(1),
                             state.split(),
                             own_weights ? &LayerState::clean_text : &LayerState::text};

  const at::Tensor patches = gather_patches(latents.to(state.dtype()), config_.patch);
  at::Tensor x = linear(state.split().own_tokens(patches), network.ends.patch);
  const int64_t whole_layers = clean ? config_.layers - 1 : config_.layers;
  LayerProvider<LayerWeights>::Walk layers = network.layers->walk();
  for (int64_t i = 0; i < whole_layers; ++i)
    transformer_layer(x, layers.layer(i), modulation.layers[size_t(i)], context, state.layer(i));
  if (clean) {
    stage_keys_values(x, layers.layer(whole_layers), modulation.layers.back(), context, state.layer(whole_layers));
    state.commit(start_frame + latents.size(1));
    return {};
  }
  const LinearInput normed = modulated_norm(x, modulation.head_shift, modulation.head_scale, config_.eps);
  return scatter_patches(state.split().all_tokens(linear(normed, network.ends.head)), config_.patch, latents);
}

// Source: Self-Forcing `wan/modules/causal_model.py`: e = time_embedding(sinusoid), e0 = time_projection(e); the layers
// add e0 to their modulation vectors, the head adds e.
Modulation VideoTransformer::make_modulation(const Network& network, const FrameTimes& times) const {
  const TransformerEnds& ends = network.ends;
  const auto options = ends.time_in.weight.options();
  std::vector<double> sinusoids;  // [F, freq_dim]
  for (const double time : times.values()) {
    const std::vector<double> one = timestep_sinusoid(time, config_.freq_dim);
    sinusoids.insert(sinusoids.end(), one.begin(), one.end());
  }
  const at::Tensor sinusoid = at::tensor(sinusoids, at::kDouble).view({-1, config_.freq_dim}).to(options);
  const at::Tensor e = linear(at::silu(linear(sinusoid, ends.time_in)), ends.time_out);  // [F, dim]
  const at::Tensor e0 = linear(at::silu(e), ends.time_projection).view({-1, 6, config_.dim});
  Modulation result;
  for (const at::Tensor& layer : ends.layer_modulations) {
    const auto m = (layer + e0).unsqueeze(0).unbind(2);  // [1, F, dim] each
    result.layers.push_back({m[0], m[1] + 1, m[2], m[3], m[4] + 1, m[5]});
  }
  for (size_t i = 0; i < ends.modulation_factors.size(); ++i) {
    const auto& [attention, ffn] = ends.modulation_factors[i];
    LayerModulation& its = result.layers[i];
    its.attention_shift = its.attention_shift * attention;
    its.attention_scale = its.attention_scale * attention;
    its.ffn_shift = its.ffn_shift * ffn;
    its.ffn_scale = its.ffn_scale * ffn;
  }
  const auto head = (ends.head_modulation + e.unsqueeze(1)).unsqueeze(0).unbind(2);
  result.head_shift = head[0];
  result.head_scale = head[1] + 1;
  return result;
}

}  // namespace flashblock
