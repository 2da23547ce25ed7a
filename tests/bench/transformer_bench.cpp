// One pass of the transformer with a full window: exact, and with the external attention computed or reused.
// Linears in the dtype, or in int8 in a bfloat16 model. Weights are given by a formula: time does not depend on them.
//   transformer_bench [--benchmark_filter=demo/float32]
#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <nlohmann/json.hpp>
#include <string>

#include "models/video_transformer.h"
#include "tests/support/formula_checkpoint.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

struct Model {
  const char* name;
  TransformerConfig config;
  VideoGeometry geometry;
  int64_t window_frames;
  int64_t sink_frames;
};

// The demo model at 256x144, and Wan2.1 1.3B at 832x480.
const Model kDemo{"demo",
                  {.dim = 320, .heads = 5, .layers = 8, .ffn_dim = 1280, .text_dim = 256, .text_len = 64},
                  {.width = 256, .height = 144},
                  12,
                  3};
const Model kWan{"wan_1.3b",
                 {.dim = 1536, .heads = 12, .layers = 30, .ffn_dim = 8960, .text_dim = 4096},
                 {.width = 832, .height = 480},
                 21,
                 0};
constexpr int64_t kFramesPerBlock = 3;

std::shared_ptr<const VideoTransformer> load(const TransformerConfig& config, at::Device device, at::ScalarType dtype,
                                             LinearPrecision linears) {
  const nlohmann::json sizes{{"dim", config.dim},
                             {"num_layers", config.layers},
                             {"ffn_dim", config.ffn_dim},
                             {"freq_dim", config.freq_dim},
                             {"text_dim", config.text_dim},
                             {"in_dim", config.in_channels},
                             {"out_dim", config.out_channels},
                             {"patch_size", {config.patch.time, config.patch.height, config.patch.width}}};
  return VideoTransformer::load(*testing::formula_store(testing::transformer_shapes(sizes)), config, device, dtype,
                                linears);
}

// A video that has filled its window and staged a frame block, ready for any pass over it.
class Video {
 public:
  Video(const Model& model, at::Device device, at::ScalarType dtype, LinearPrecision linears, AttentionConfig attention)
      : options_(at::TensorOptions().device(device)),
        transformer_(load(model.config, device, dtype, linears)),
        state_(model.config,
               {.geometry = model.geometry,
                .frames_per_block = kFramesPerBlock,
                .window_frames = model.window_frames,
                .sink_frames = model.sink_frames,
                .max_frames = 2 * model.window_frames,
                .attention = attention},
               device, dtype) {
    transformer_->set_prompt(state_, at::randn({1, model.config.text_len, model.config.text_dim}));
    latents_ = at::randn(
        {1, kFramesPerBlock, model.config.in_channels, model.geometry.latent_height(), model.geometry.latent_width()},
        options_);
    while (state_.next_frame() < model.window_frames) run(Pass::clean());
    run(Pass::denoise(0));
  }

  void run(Pass pass) { transformer_->forward(latents_, 500, state_.next_frame(), pass, state_); }
  void synchronise() {
    if (options_.device().is_cuda()) latents_.sum().item<float>();
  }

 private:
  at::TensorOptions options_;
  std::shared_ptr<const VideoTransformer> transformer_;
  TransformerState state_;
  at::Tensor latents_;
};

void time_pass(benchmark::State& bench, const Model& model, at::Device device, at::ScalarType dtype,
               LinearPrecision linears, AttentionConfig attention, Pass pass) {
  at::manual_seed(1);
  Video video(model, device, dtype, linears, attention);
  video.run(Pass::denoise(1));
  for (auto _ : bench) {
    video.run(pass);
    video.synchronise();
  }
}

struct Case {
  const char* name;
  AttentionConfig::Mode mode;
  Pass pass;
};

void register_all(const Model& model, at::Device device, at::ScalarType dtype, LinearPrecision linears) {
  for (const Case& c : {Case{"exact", AttentionConfig::Mode::kExact, Pass::denoise(1)},
                        Case{"computed", AttentionConfig::Mode::kFlashblock, Pass::denoise(0)},
                        Case{"reused", AttentionConfig::Mode::kFlashblock, Pass::denoise(1)}}) {
    const std::string arithmetic = linears == LinearPrecision::kInt8 ? "int8" : at::toString(dtype);
    const std::string name = std::string(model.name) + "/" + device.str() + "/" + arithmetic + "/" + c.name;
    benchmark::RegisterBenchmark(name.c_str(), time_pass, model, device, dtype, linears, AttentionConfig{c.mode},
                                 c.pass)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime()
        ->MinTime(1);
  }
}

void register_all(const Model& model, at::Device device) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
    register_all(model, device, dtype, LinearPrecision::kNative);
  register_all(model, device, at::kBFloat16, LinearPrecision::kInt8);
}

const bool registered = [] {
  register_all(kDemo, at::kCPU);
  if (at::globalContext().hasCUDA())
    for (const Model& model : {kDemo, kWan}) register_all(model, at::Device(at::kCUDA, 0));
  return true;
}();

}  // namespace
}  // namespace flashblock
