// Attention to keys and values of normal numbers, by each of this GPU's kernels in bfloat16 and in 8 bits, at the
// shapes of a frame block of 832x480: inside it, to a window of 21 latent frames, to that and itself, with 12 and 40
// heads.
//   attention_bench [--benchmark_filter=own]
#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <benchmark/benchmark.h>
#ifdef FLASHBLOCK_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

#include <cstdint>
#include <cstdio>
#include <string>

#include "attention/attention.h"
#include "attention/bf16_attention.h"
#include "attention/int8_attention.h"

namespace flashblock {
namespace {

#ifdef FLASHBLOCK_CUDA

struct Shape {
  int64_t keys, heads;
};

using Attention = AttentionState (*)(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// Twenty calls a repetition: their launches then cost nothing.
void attend(::benchmark::State& state, Attention attention, const Shape& shape) {
  constexpr int64_t kQueries = 4680, kWidth = 128;
  constexpr int kTimes = 20;
  const at::TensorOptions options = at::TensorOptions(at::kBFloat16).device(at::Device(at::kCUDA, 0));
  at::manual_seed(1);
  const at::Tensor q = at::randn({1, kQueries, shape.heads, kWidth}, options);
  const at::Tensor k = at::randn({1, shape.keys, shape.heads, kWidth}, options), v = at::randn_like(k);
  const auto run = [&] {
    for (int i = 0; i < kTimes; ++i) attention(q, k, v);
    c10::cuda::getCurrentCUDAStream().synchronize();
  };
  run();
  for (auto _ : state) run();
  const double calls = static_cast<double>(state.iterations() * kTimes);
  const double operations = 4.0 * double(kQueries * shape.keys * shape.heads * kWidth);
  state.counters["operations"] = ::benchmark::Counter(operations * calls, ::benchmark::Counter::kIsRate);
  state.counters["ms_each"] = ::benchmark::Counter(
      calls / 1e3, ::benchmark::Counter::Flags(::benchmark::Counter::kIsRate | ::benchmark::Counter::kInvert));
}

void add(const std::string& name, Attention attention) {
  for (const Shape& shape : {Shape{4680, 12}, Shape{28080, 12}, Shape{32760, 12}, Shape{4680, 40}, Shape{28080, 40}}) {
    const std::string full =
        name + "/" + std::to_string(shape.keys) + "_keys/" + std::to_string(shape.heads) + "_heads";
    ::benchmark::RegisterBenchmark(full.c_str(), [=](::benchmark::State& state) { attend(state, attention, shape); })
        ->Unit(::benchmark::kMillisecond)
        ->UseRealTime();
  }
}

void add_all() {
  const at::Device gpu(at::kCUDA, 0);
  add("chosen",
      [](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) { return attention_with_lse(q, k, v); });
  if (has_bf16_attention(gpu, at::kBFloat16, 128)) add("own", bf16_attention_with_lse);
  if (has_int8_attention(gpu, at::kBFloat16, 128)) add("int8", int8_attention_with_lse);
}

#endif

}  // namespace
}  // namespace flashblock

int main(int argc, char** argv) {
#ifdef FLASHBLOCK_CUDA
  if (at::hasCUDA() && at::getNumGPUs() > 0) {
    flashblock::add_all();
    ::benchmark::Initialize(&argc, argv);
    ::benchmark::RunSpecifiedBenchmarks();
    return 0;
  }
#endif
  static_cast<void>(argc);
  std::fprintf(stderr, "%s: needs a GPU\n", argv[0]);
  return 1;
}
