// One frame block of three latent frames through a decoder in the middle of a video. Weights are given by a formula:
// time does not depend on them. `minute` is the time for the 240 latent frames of a minute at 16 frames per second.
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

void decode_block(::benchmark::State& state, const Decoder& kind, at::Device device, at::ScalarType dtype) {
  const auto decoder = load_latent_decoder(*testing::formula_store(kind.shapes), device, dtype);
  const at::Tensor latents =
      testing::formula_data("latents", {1, kFramesPerBlock, 16, kind.latent_height, kind.latent_width}, 1.0)
          .to(device, dtype);
  for (int warm_up = 0; warm_up < 3; ++warm_up) decoder->decode(latents);
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

void add(const Decoder& kind, at::Device device, at::ScalarType dtype) {
  const std::string name = kind.name + (dtype == at::kFloat ? "/float32/" : "/bfloat16/") + device.str();
  ::benchmark::RegisterBenchmark(name.c_str(),
                                 [=](::benchmark::State& state) { decode_block(state, kind, device, dtype); })
      ->Unit(::benchmark::kMillisecond)
      ->UseRealTime();
}

void add_all() {
  const Decoder demo{"demo_256x144", testing::decoder_shapes({96, 96, 32, 16}, 3), 18, 32};
  const Decoder wan{"wan_832x480", testing::decoder_shapes({384, 384, 192, 96}, 3), 60, 104};
  const Decoder taehv{"taehv_832x480", testing::taehv_shapes(), 60, 104};
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const Decoder& kind : {demo, wan, taehv}) {
      add(kind, at::kCPU, dtype);
      if (at::hasCUDA() && at::getNumGPUs() > 0) add(kind, at::Device(at::kCUDA, 0), dtype);
    }
  }
}

}  // namespace
}  // namespace flashblock

int main(int argc, char** argv) {
  flashblock::add_all();
  ::benchmark::AddCustomContext("LibTorch threads", std::to_string(at::get_num_threads()));
  ::benchmark::Initialize(&argc, argv);
  ::benchmark::RunSpecifiedBenchmarks();
  return 0;
}
