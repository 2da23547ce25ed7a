#include "render/cost_probe.h"

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "core/memory_meter.h"
#include "media/frame_conversion.h"
#include "pipeline/context_rule.h"
#include "pipeline/noise_source.h"
#include "pipeline/render_line.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

/// Latent frames that an unlimited window is filled with: more would take longer and change little.
constexpr int64_t kEnoughFrames = 21;
/// Operations of one pass of one layer that take about a quarter of a second on two cores.
constexpr double kLayerOperations = 2e10;
/// Pixels times weights that the published decoder (73 million weights) processes in a few seconds on two cores.
constexpr double kDecoderWork = 1.5e11;
/// Factor on a GPU, where the work of two cores in a quarter of a second takes less time than its kernel launches.
constexpr double kWorkOnGpu = 100;

/// A store with the names, shapes and dtypes of those tensors of `store` that are `wanted`, filled with a small number.
template <typename Wanted>
std::shared_ptr<const WeightStore> synthetic_weights(const WeightStore& store, const Wanted& wanted) {
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : store.names()) {
    if (wanted(name)) tensors[name] = at::full(store.shape(name), 0.01, store.dtype(name));
  }
  return WeightStore::from_tensors(std::move(tensors), store.path(), store.metadata());
}

int64_t count_weights(const WeightStore& store, const std::string& prefix) {
  int64_t count = 0;
  for (const std::string& name : store.names()) {
    if (name.starts_with(prefix)) count += store.numel(name);
  }
  return count;
}

double work_on(at::Device device, double work) { return device.is_cpu() ? work : work * kWorkOnGpu; }

/// The video's frame size, halved until it has at most `most` tokens a frame.
VideoGeometry shrunk(VideoGeometry geometry, double most) {
  const auto halve = [&](int64_t& pixels, int64_t step) { pixels = std::max(pixels / 2 / step * step, step); };
  const int64_t row = geometry.height / geometry.token_rows(), column = geometry.width / geometry.token_columns();
  while (static_cast<double>(geometry.tokens_per_frame()) > most && geometry.tokens_per_frame() > 1) {
    if (geometry.token_rows() * 2 > geometry.token_columns())
      halve(geometry.height, row);
    else
      halve(geometry.width, column);
  }
  return geometry;
}

/// The size, in the small frame, of a tensor that is kKeptTensorBytes in the video.
int64_t small_tensor(const RenderSetup& setup, const VideoGeometry& tried) {
  return kKeptTensorBytes * tried.tokens_per_frame() / setup.geometry.tokens_per_frame();
}

/// What one size of a part of the model was measured to take.
struct ProbeRun {
  double seconds = 0;  // of a frame block
  int64_t state_bytes = 0, work_bytes = 0, small_bytes = 0;
};

/// Runs a part of the model on two small frames, the larger with `most` tokens, and extrapolates memory to the video's.
/// Returns its time on the larger one, and that size.
template <typename Run>
std::pair<ProbeRun, VideoGeometry> extrapolate(const RenderSetup& setup, double most, const Run& run) {
  const VideoGeometry larger = shrunk(setup.geometry, std::max(4.0, most));
  const VideoGeometry smaller = shrunk(larger, static_cast<double>(larger.tokens_per_frame()) / 2);
  const ProbeRun less = run(smaller);
  ProbeRun more = run(larger);
  const auto size = static_cast<double>(setup.geometry.tokens_per_frame());
  const auto low = static_cast<double>(smaller.tokens_per_frame()),
             high = static_cast<double>(larger.tokens_per_frame());
  for (const auto bytes : {&ProbeRun::state_bytes, &ProbeRun::work_bytes, &ProbeRun::small_bytes}) {
    const auto at_high = static_cast<double>(more.*bytes), at_low = static_cast<double>(less.*bytes);
    const double slope = high == low ? at_high / high : (at_high - at_low) / (high - low);
    more.*bytes += static_cast<int64_t>(slope * (size - high));
  }
  return {more, larger};
}

/// Noise in place of latents. Shape: [1, frames, channels, H, W].
at::Tensor noise_of(int64_t frames, int64_t channels, const VideoGeometry& geometry, const at::TensorOptions& options) {
  return SeededNoise(0)
      .noise(0, 0, {1, frames, channels, geometry.latent_height(), geometry.latent_width()})
      .to(options);
}

/// Fills the window, then times the passes of one frame block.
ProbeRun run_layer(const VideoTransformer& transformer, const RenderSetup& setup, const VideoGeometry& geometry,
                   const LoadedModel& model) {
  const at::Device device = model.device();
  const Recipe& recipe = setup.config.model.recipe;
  const int64_t frames = recipe.frames_per_block, video = setup.plan.latent_frames();
  const TransformerConfig& config = transformer.config();
  TransformerState state(config, state_options(recipe, geometry, std::max(video, frames), setup.config.attention),
                         device, model.dtype());
  const auto rule = recipe.context_rule->begin(recipe, state, {});
  transformer.set_prompt(state, at::zeros({1, config.text_len, config.text_dim}));
  const auto options = at::TensorOptions().device(device).dtype(model.dtype());
  const at::Tensor latents = noise_of(frames, config.in_channels, geometry, options);
  MemoryMeter meter(device, small_tensor(setup, geometry));
  int64_t start = 0;
  const int64_t window = recipe.window_frames < 0 ? kEnoughFrames : recipe.window_frames;
  const auto clean = [&] { transformer.forward(latents, 0, start, Pass::clean(), state); };
  for (; start + 2 * frames <= std::min(window, video); start += frames) clean();
  meter.reset_peak();
  const int64_t before = meter.peak(), small_before = meter.peak_of_small(),
                state_before = state.bytes() + rule->bytes();
  const auto pass = [&](int64_t step) {
    return seconds_of(device, [&] { transformer.forward(latents, 500, start, Pass::denoise(step), state); });
  };
  pass(0);  // warms up
  const double first = pass(0), next = std::min(pass(1), pass(1));
  ProbeRun run{.state_bytes = state.bytes() + rule->bytes()};
  run.work_bytes = meter.peak() - before - (run.state_bytes - state_before);
  run.small_bytes = std::clamp<int64_t>(meter.peak_of_small() - small_before, 0, run.work_bytes);
  run.seconds = first + static_cast<double>(recipe.denoising_passes() - 1) * next + seconds_of(device, clean);
  return run;
}

double layer_weights(const TransformerConfig& config) {
  return static_cast<double>(config.dim * (6 * config.dim + 2 * config.ffn_dim));
}

/// Multiplications and additions of one pass of a layer: its time is proportional to them.
double layer_operations(const TransformerConfig& config, const RenderSetup& setup, const VideoGeometry& geometry) {
  const Recipe& recipe = setup.config.model.recipe;
  const double tokens = static_cast<double>(geometry.tokens_per_frame() * recipe.frames_per_block);
  const int64_t seen = recipe.window_frames < 0 ? setup.plan.latent_frames()
                                                : std::min(recipe.window_frames, setup.plan.latent_frames());
  const double keys = static_cast<double>(geometry.tokens_per_frame() * seen + config.text_len);
  return 2 * tokens * layer_weights(config) + 4 * tokens * keys * static_cast<double>(config.dim);
}

void probe_layer(const RenderSetup& setup, const LoadedModel& model, CostProbe& probe) {
  TransformerConfig config = model.transformer_config();
  const int64_t layers = std::exchange(config.layers, 1);
  const auto weights = synthetic_weights(*model.open_transformer(), [](const std::string& name) {
    return !name.starts_with("blocks.") || name.starts_with("blocks.0.");
  });
  const auto transformer =
      VideoTransformer::load(*weights, config, model.device(), model.dtype(), model.options().linears);
  const Recipe& recipe = setup.config.model.recipe;
  const double one_token = 2.0 * static_cast<double>(recipe.frames_per_block) * layer_weights(config);
  const auto [run, larger] =
      extrapolate(setup, work_on(model.device(), kLayerOperations) / one_token,
                  [&](const VideoGeometry& geometry) { return run_layer(*transformer, setup, geometry, model); });
  probe.layer_state_bytes = run.state_bytes;
  probe.denoise_bytes = run.work_bytes;
  probe.denoise_small_bytes = run.small_bytes;
  const double contexts = recipe.guidance_scale == 1.0 ? 1 : 2;
  const double grown = layer_operations(config, setup, setup.geometry) / layer_operations(config, setup, larger);
  probe.denoise_seconds = run.seconds * grown * contexts * static_cast<double>(layers);
}

/// Latent frames of a block that the decoder processes together at the video's size.
int64_t frames_decoded_together(const RenderSetup& setup) {
  return std::min(setup.config.model.recipe.frames_per_block,
                  latent_frames_together(setup.geometry.latent_height(), setup.geometry.latent_width()));
}

ProbeRun run_decoder(LatentDecoder& decoder, const RenderSetup& setup, const VideoGeometry& geometry,
                     const LoadedModel& model) {
  const at::Device device = model.decoder_device();
  const auto options = at::TensorOptions().device(device).dtype(model.dtype());
  const at::Tensor latents = noise_of(frames_decoded_together(setup), decoder.latent_channels(), geometry, options);
  MemoryMeter meter(device, small_tensor(setup, geometry));
  decoder.reset();
  const auto decode = [&] { to_rgb24(decoder.decode(latents)).cpu(); };
  decode();                        // warms up
  if (!device.is_cpu()) decode();  // as cuDNN plans again: the first frames of a video take another path
  ProbeRun run{.state_bytes = decoder.state_bytes()};
  meter.reset_peak();
  const int64_t before = meter.peak(), small_before = meter.peak_of_small();
  const auto measured = [&](const auto& work) {
    meter.reset_peak();
    run.seconds += seconds_of(device, work);
    const int64_t bytes = meter.peak() - before;
    return std::pair(bytes, std::clamp<int64_t>(meter.peak_of_small() - small_before, 0, bytes));
  };
  LatentDecoder::HalfDecoded half;
  const auto [begin_bytes, begin_small] = measured([&] { half = decoder.begin(latents); });
  const auto [finish_bytes, finish_small] = measured([&] { to_rgb24(decoder.finish(half)).cpu(); });
  // Whether one half of the decoder processes a block while the other processes the block before.
  const bool two_stages = setup.config.overlap && decoder_stages(device, at::get_num_threads(), decoder.parts()) == 2;
  run.work_bytes = two_stages ? begin_bytes + finish_bytes : std::max(begin_bytes, finish_bytes);
  run.small_bytes = std::max(begin_small, finish_small);  // memory that one half has freed is reused by the other
  return run;
}

void probe_decoder(const RenderSetup& setup, const LoadedModel& model, CostProbe& probe) {
  const auto store = model.open_vae();
  const auto weights = synthetic_weights(*store, [](const std::string&) { return true; });
  std::unique_ptr<LatentDecoder> decoder;
  {
    const MemoryMeter loading(model.decoder_device());
    decoder = load_latent_decoder(*weights, model.decoder_device(), model.dtype(), model.options().decoder);
    probe.decoder_bytes = loading.held();
    probe.decoder_load_bytes = loading.peak();
  }
  probe.decoder_parts = decoder->parts();
  const double count = static_cast<double>(count_weights(*store, "decoder."));
  const double pixels_per_token = static_cast<double>(setup.geometry.width * setup.geometry.height) /
                                  static_cast<double>(setup.geometry.tokens_per_frame());
  const auto [run, larger] =
      extrapolate(setup, work_on(model.decoder_device(), kDecoderWork) / count / pixels_per_token,
                  [&](const VideoGeometry& geometry) { return run_decoder(*decoder, setup, geometry, model); });
  probe.decoder_state_bytes = run.state_bytes;
  // While the last frames of a block are decoded, the others exist as float32.
  const int64_t frames = setup.config.model.recipe.frames_per_block, together = frames_decoded_together(setup);
  const int64_t decoded =
      (frames - together) * setup.geometry.strides.time * setup.geometry.width * setup.geometry.height;
  probe.decode_bytes = run.work_bytes + 3 * decoded * static_cast<int64_t>(sizeof(float));
  probe.decode_small_bytes = run.small_bytes;
  probe.decode_seconds = run.seconds * static_cast<double>(setup.geometry.tokens_per_frame() * frames) /
                         static_cast<double>(larger.tokens_per_frame() * together);
}

}  // namespace

CostProbe probe_cost(const RenderSetup& setup, const LoadedModel& model) {
  const StageScope as_in_a_render(model.device());
  CostProbe probe;
  probe_decoder(setup, model, probe);
  probe_layer(setup, model, probe);
  return probe;
}

}  // namespace flashblock
