// flashblock_load_benchmark TRANSFORMER [bfloat16|float32]: seconds from opening a transformer's file to the end of its
// first pass, on the CPU, on a small picture. Run it twice: the first run brings the file into the page cache.
#include <ATen/ops/zeros.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include "core/memory_meter.h"
#include "core/weight_store.h"
#include "models/video_transformer.h"

namespace {

using namespace flashblock;
using Clock = std::chrono::steady_clock;

void measure(const std::string& file, at::ScalarType dtype, LayerPlacement placement) {
  const auto start = Clock::now();
  const auto since = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  const auto store = WeightStore::open(file);
  const TransformerConfig config = read_transformer_config(*store);
  const double opened = since();
  const auto model = placement == LayerPlacement::kResident ? VideoTransformer::load(*store, config, at::kCPU, dtype)
                                                            : VideoTransformer::stream(store, config, at::kCPU, dtype);
  const double loaded = since();
  TransformerState state(config, {.geometry = {.width = 32, .height = 32}, .max_frames = 3}, at::kCPU, dtype);
  model->set_prompt(state, at::zeros({1, config.text_len, config.text_dim}));
  const double prompted = since();
  model->forward(at::zeros({1, 3, config.in_channels, 4, 4}), 1000, 0, Pass::denoise(0), state);
  std::printf("%-8s opened %.2f s, loaded %.2f s, text %.2f s, first pass %.2f s; memory now %.2f GB, most %.2f GB\n",
              placement == LayerPlacement::kResident ? "resident" : "streamed", opened, loaded, prompted, since(),
              static_cast<double>(memory_bytes()) / 1e9, static_cast<double>(peak_memory_bytes()) / 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: flashblock_load_benchmark TRANSFORMER [bfloat16|float32]\n");
    return 2;
  }
  try {
    const at::ScalarType dtype = argc > 2 && std::string(argv[2]) == "float32" ? at::kFloat : at::kBFloat16;
    measure(argv[1], dtype, LayerPlacement::kStreamed);
    measure(argv[1], dtype, LayerPlacement::kResident);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "flashblock_load_benchmark: error: %s\n", error.what());
    return 1;
  }
  return 0;
}
