// One frame block of three latent frames through a decoder in the middle of a video. Weights are given by a formula:
// time does not depend on them. `minute` is the time for the 240 latent frames of a minute at 16 frames per second.
// convolution/*: one causal convolution with the frames of one latent frame, norm in front included, in bfloat16;
// int8_convolution/*: the same in 8-bit integers.
//   vae_bench [--benchmark_filter=demo]
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#ifdef FLASHBLOCK_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

#include <string>

#include "tests/support/formula_checkpoint.h"
#include "tests/vae/decoder_shapes.h"
#include "vae/causal_conv3d.h"
#include "vae/latent_decoder.h"

namespace flashblock {
namespace {

using testing::NamedShape;

struct Decoder {
  std::string name;
  std::vector<NamedShape> shapes;
  int64_t latent_height, latent_width;
};

constexpr int64_t kFramesPerBlock = 3, kFramesPerMinute = 240;

void finish(at::Device device) {
#ifdef FLASHBLOCK_CUDA
  if (device.is_cuda()) c10::cuda::getCurrentCUDAStream().synchronize();
#endif
  static_cast<void>(device);
}

/// What a decoder computes in.
struct Arithmetic {
  at::ScalarType dtype;
  DecoderPrecision precision = DecoderPrecision::kNative;

  std::string name() const {
    if (precision != DecoderPrecision::kNative) return to_string(precision);
    return dtype == at::kFloat ? "float32" : "bfloat16";
  }
};

void decode_block(::benchmark::State& state, const Decoder& kind, at::Device device, const Arithmetic& arithmetic) {
  const at::ScalarType dtype = arithmetic.dtype;
  const auto decoder = load_latent_decoder(*testing::formula_store(kind.shapes), device, dtype, arithmetic.precision);
  const at::Tensor latents =
      testing::formula_data("latents", {1, kFramesPerBlock, 16, kind.latent_height, kind.latent_width}, 1.0)
          .to(device, dtype);
  for (int warm_up = 0; warm_up < (device.is_cuda() ? 20 : 3); ++warm_up) decoder->decode(latents);
  finish(device);
  int64_t frames = 0;
  for (auto _ : state) {
    frames += decoder->decode(latents).size(0);
    finish(device);
  }
  state.counters["frames"] = ::benchmark::Counter(static_cast<double>(frames), ::benchmark::Counter::kIsRate);
  state.counters["minute"] =
      ::benchmark::Counter(static_cast<double>(state.iterations() * kFramesPerBlock) / kFramesPerMinute,
                           ::benchmark::Counter::Flags(::benchmark::Counter::kIsRate | ::benchmark::Counter::kInvert));
  state.counters["state_MB"] = static_cast<double>(decoder->state_bytes()) / 1e6;
}

/// Residual sums as in every second convolution of a ResidualBlock.
struct ConvolutionShape {
  int64_t in, out, frames, height;
};

void add_convolution(::benchmark::State& state, const ConvolutionShape& shape, DecoderPrecision precision) {
  const auto [in, out, frames, height] = shape;
  const int64_t width = height * 26 / 15;  // 832x480 and its halves
  const at::TensorOptions options = at::TensorOptions(at::kBFloat16).device(at::Device(at::kCUDA, 0));
  const ConvWeights weights{(testing::formula_data("weight", {out, in, 3, 3, 3}, 0.02)).to(options).to(at::kFloat),
                            testing::formula_data("bias", {out}, 1.0).to(options).to(at::kFloat)};
  const at::Tensor gamma = testing::formula_data("gamma", {in}, 1.0).to(options).to(at::kFloat);
  const at::Tensor input = testing::formula_data("frames", {frames, height, width, in}, 1.0).to(options);
  at::Tensor sum = testing::formula_data("sum", {frames, height, width, out}, 1.0).to(options);
  const CausalConv3d convolution("slot", weights, at::kBFloat16,
                                 precision == DecoderPrecision::kInt8 ? gamma : at::Tensor());
  FeatureCache cache;
  const auto run = [&](int times) {
    for (int i = 0; i < times; ++i) convolution.add_normalised_to(sum, {input, {}}, gamma, cache);
    finish(options.device());
  };
  constexpr int kTimes = 20;
  run(kTimes);
  for (auto _ : state) run(kTimes);
  const double operations = 2.0 * 27 * static_cast<double>(in * out * frames * height * width) * kTimes;
  state.counters["operations"] =
      ::benchmark::Counter(operations * static_cast<double>(state.iterations()), ::benchmark::Counter::kIsRate);
  state.counters["ms_each"] =
      ::benchmark::Counter(static_cast<double>(state.iterations() * kTimes) / 1e3,
                           ::benchmark::Counter::Flags(::benchmark::Counter::kIsRate | ::benchmark::Counter::kInvert));
}

void add_convolutions() {
  for (const DecoderPrecision precision : {DecoderPrecision::kNative, DecoderPrecision::kInt8}) {
    for (const ConvolutionShape& s : {ConvolutionShape{384, 384, 1, 60},
                                      {192, 384, 2, 120},
                                      {384, 384, 2, 120},
                                      {192, 192, 4, 240},
                                      {96, 96, 4, 480}}) {
      const std::string name = (precision == DecoderPrecision::kInt8 ? "int8_convolution/" : "convolution/") +
                               std::to_string(s.in) + "_" + std::to_string(s.out) + "/" + std::to_string(s.frames) +
                               "x" + std::to_string(s.height);
      ::benchmark::RegisterBenchmark(name.c_str(),
                                     [=](::benchmark::State& state) { add_convolution(state, s, precision); })
          ->Unit(::benchmark::kMillisecond)
          ->UseRealTime();
    }
  }
}

void add(const Decoder& kind, at::Device device, const Arithmetic& arithmetic) {
  const std::string name = kind.name + "/" + arithmetic.name() + "/" + device.str();
  ::benchmark::RegisterBenchmark(name.c_str(),
                                 [=](::benchmark::State& state) { decode_block(state, kind, device, arithmetic); })
      ->Unit(::benchmark::kMillisecond)
      ->UseRealTime();
}

void add_all() {
  const Decoder demo{"demo_256x144", testing::decoder_shapes({96, 96, 32, 16}, 3), 18, 32};
  const Decoder wan{"wan_832x480", testing::decoder_shapes({384, 384, 192, 96}, 3), 60, 104};
  const Decoder taehv{"taehv_832x480", testing::taehv_shapes(), 60, 104};
  const bool gpu = at::hasCUDA() && at::getNumGPUs() > 0;
  for (const Arithmetic& arithmetic :
       {Arithmetic{at::kFloat}, Arithmetic{at::kBFloat16}, Arithmetic{at::kBFloat16, DecoderPrecision::kInt8}}) {
    for (const Decoder& kind : {demo, wan, taehv}) {
      if (arithmetic.precision != DecoderPrecision::kNative && kind.name == taehv.name) continue;  // always native
      add(kind, at::kCPU, arithmetic);
      if (gpu) add(kind, at::Device(at::kCUDA, 0), arithmetic);
    }
  }
}

}  // namespace
}  // namespace flashblock

int main(int argc, char** argv) {
  flashblock::add_all();
  if (at::hasCUDA() && at::getNumGPUs() > 0) flashblock::add_convolutions();
  ::benchmark::AddCustomContext("LibTorch threads", std::to_string(at::get_num_threads()));
  ::benchmark::Initialize(&argc, argv);
  ::benchmark::RunSpecifiedBenchmarks();
  return 0;
}
