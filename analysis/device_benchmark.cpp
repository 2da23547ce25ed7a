#include "analysis/device_benchmark.h"

#include <ATen/ops/randn.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "analysis/benchmark.h"
#include "pipeline/context_rule.h"
#include "pipeline/noise_source.h"
#include "pipeline/render_line.h"
#include "vae/latent_decoder.h"

namespace flashblock {
namespace {

/// Of one block: its denoising passes, until they were queued and until they were done; its clean pass.
struct BlockSeconds {
  double queued = 0, denoise = 0, clean = 0;
};

/// A video that is denoised block by block.
class DenoisedVideo {
 public:
  DenoisedVideo(std::unique_ptr<BlockDenoiser> denoiser, const VideoPlan& plan, double context_noise, at::Device device)
      : denoiser_(std::move(denoiser)), plan_(plan), context_noise_(context_noise), device_(device) {}

  void set_prompt(const at::Tensor& embedding) { denoiser_->set_prompt(embedding); }

  /// The next two blocks, of which the second one counts: GPUs that were idle are slow at first, in a render they never
  /// are.
  BlockSeconds turn() {
    block();
    return block();
  }

  BlockSeconds block() {
    const FrameBlock block = plan_.block(next_++);
    BlockSeconds seconds;
    at::Tensor latents;
    seconds.denoise = seconds_of(device_, [&] {
      const auto begin = std::chrono::steady_clock::now();
      latents = denoiser_->denoise(block, noise_);
      seconds.queued = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    });
    seconds.clean = seconds_of(device_, [&] { denoiser_->clean_pass(block, latents, context_noise_); });
    return seconds;
  }

 private:
  std::unique_ptr<BlockDenoiser> denoiser_;
  const VideoPlan& plan_;
  double context_noise_;
  at::Device device_;
  SeededNoise noise_{1};
  int64_t next_ = 0;
};

std::string row(const char* name, const std::vector<double>& alone, const std::vector<double>& together,
                int64_t devices) {
  const double speedup = median_ratio(alone, together);
  char text[160];
  std::snprintf(text, sizeof text, "  %-14s %12.1f %12.1f %10.2f %11.0f %%\n", name, 1e3 * median(alone),
                1e3 * median(together), speedup, 100 * speedup / static_cast<double>(devices));
  return text;
}

std::vector<double> sums(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> result;
  for (size_t i = 0; i < a.size(); ++i) result.push_back(a[i] + b[i]);
  return result;
}

}  // namespace

std::optional<DeviceBenchmark> run_device_benchmark(const RenderSetup& setup, LoadedModel& model, DeviceGroup& group,
                                                    const std::string& geometry, int64_t rounds,
                                                    const std::stop_token& stop) {
  const StageScope as_in_a_render(model.device());
  const auto& followers = group.followers();
  DeviceBenchmark result{.devices = followers->group()->size()};
  RenderConfig config = setup.config;
  Recipe& recipe = config.model.recipe;
  recipe.guidance_scale = 1;
  if (recipe.context_rule->encodes_frames()) recipe.context_rule = "window";  // without a decoder there are no frames
  const int64_t window = recipe.window_frames < 0 ? setup.plan.latent_frames() : recipe.window_frames;
  const int64_t to_fill = (window + recipe.frames_per_block - 1) / recipe.frames_per_block;
  VideoPlan plan = setup.plan;
  plan.blocks = to_fill + 2 * rounds;
  const TransformerConfig& sizes = model.transformer_config();
  const at::Tensor text =
      at::randn({1, sizes.text_len, sizes.text_dim}, at::TensorOptions().device(model.device()).dtype(model.dtype()));
  for (const NamedAttention& mode : benchmark_modes(setup.config.attention)) {
    config.attention = mode.attention;
    group.set_configuration(config, model.dtype(), geometry);
    SharedVideo shared{.recipe = recipe,
                       .state = state_options(recipe, setup.geometry, plan.latent_frames(), mode.attention),
                       .device = model.device(),
                       .dtype = model.dtype()};
    DenoisedVideo alone(
        std::make_unique<BlockDenoiser>(model.transformer(), recipe, shared.state, shared.device, shared.dtype), plan,
        recipe.context_noise, shared.device);
    shared.state.group = followers->group();
    DenoisedVideo together(make_leading_denoiser(model.transformer(), shared, {}, followers), plan,
                           recipe.context_noise, shared.device);
    alone.set_prompt(text);
    together.set_prompt(text);
    DeviceTimes times{.mode = mode.name};
    for (int64_t block = 0; block < to_fill; ++block) {
      if (stop.stop_requested()) return {};
      alone.block();
      together.block();
    }
    const int64_t before = followers->group()->bytes_sent();
    for (int64_t round = 0; round < rounds; ++round) {
      if (stop.stop_requested()) return {};
      const BlockSeconds one = alone.turn(), all = together.turn();
      times.alone_queued.push_back(one.queued);
      times.alone_denoise.push_back(one.denoise);
      times.alone_clean.push_back(one.clean);
      times.together_queued.push_back(all.queued);
      times.together_denoise.push_back(all.denoise);
      times.together_clean.push_back(all.clean);
    }
    times.sent_bytes = static_cast<double>(followers->group()->bytes_sent() - before) / static_cast<double>(2 * rounds);
    result.modes.push_back(std::move(times));
  }
  const std::shared_ptr<LatentDecoder> decoder = model.decoder();
  const at::Tensor latents = at::randn(
      {1, recipe.frames_per_block, sizes.out_channels, setup.geometry.latent_height(), setup.geometry.latent_width()},
      at::TensorOptions().device(model.device()).dtype(model.dtype()));
  decoder->reset();
  for (int64_t round = -2; round < rounds; ++round) {  // the first frames of a video take another path
    const double seconds = seconds_of(model.device(), [&] { decoder->decode(latents); });
    if (round >= 0) result.decode.push_back(seconds);
  }
  return result;
}

std::string device_bench_table(const DeviceBenchmark& measured, const RenderSetup& setup) {
  const int64_t frames = setup.plan.frames_per_block * setup.geometry.strides.time;
  std::string text;
  char line[200];
  for (const DeviceTimes& times : measured.modes) {
    std::snprintf(line, sizeof line, "%s, ms per frame block of %lld frames\n  %-14s %12s %9lld dev. %10s %13s\n",
                  times.mode.c_str(), static_cast<long long>(frames), "", "1 device",
                  static_cast<long long>(measured.devices), "speed-up", "efficiency");
    text += line;
    const auto alone = sums(times.alone_denoise, times.alone_clean);
    const auto together = sums(times.together_denoise, times.together_clean);
    text += row("denoise", times.alone_denoise, times.together_denoise, measured.devices) +
            row("clean pass", times.alone_clean, times.together_clean, measured.devices) +
            row("transformer", alone, together, measured.devices);
    std::snprintf(line, sizeof line, "  %-14s %12.1f %12.1f\n", "denoise queued", 1e3 * median(times.alone_queued),
                  1e3 * median(times.together_queued));
    text += line;
    std::snprintf(line, sizeof line, "  %-14s %12.1f %12.1f\n  sent by the first process: %.1f MB per block\n", "fps",
                  static_cast<double>(frames) / median(alone), static_cast<double>(frames) / median(together),
                  times.sent_bytes / 1e6);
    text += line;
  }
  std::snprintf(line, sizeof line, "decode, on the first device: %.1f ms per frame block\n",
                1e3 * median(measured.decode));
  return text + line;
}

nlohmann::ordered_json device_bench_json(const DeviceBenchmark& measured) {
  nlohmann::ordered_json json = {{"devices", measured.devices}, {"decode_seconds", measured.decode}};
  json["modes"] = nlohmann::ordered_json::array();
  for (const DeviceTimes& times : measured.modes) {
    json["modes"].push_back({{"mode", times.mode},
                             {"one_device",
                              {{"queued_seconds", times.alone_queued},
                               {"denoise_seconds", times.alone_denoise},
                               {"clean_seconds", times.alone_clean}}},
                             {"together",
                              {{"queued_seconds", times.together_queued},
                               {"denoise_seconds", times.together_denoise},
                               {"clean_seconds", times.together_clean}}},
                             {"sent_bytes_per_block", times.sent_bytes}});
  }
  return json;
}

}  // namespace flashblock
