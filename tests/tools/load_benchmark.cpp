// flashblock_load_benchmark TRANSFORMER [bfloat16|float32] [cpu|cuda]: seconds from opening a transformer's file to the
// end of its first pass, on a small frame. Run it twice: the first run brings the file into the page cache.
#include <ATen/ops/zeros.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include "core/device.h"
#include "core/memory_meter.h"
#include "models/video_transformer.h"
#include "pipeline/render_line.h"
#include "weights/weight_store.h"

namespace {

using namespace flashblock;
using Clock = std::chrono::steady_clock;

void measure(const std::string& file, at::Device device, at::ScalarType dtype, LayerPlacement placement) {
  const auto start = Clock::now();
  const auto since = [&] {
    synchronize(device);
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const auto store = WeightStore::open(file);
  const TransformerConfig config = read_transformer_config(*store);
  const double opened = since();
  const auto model = placement == LayerPlacement::kResident ? VideoTransformer::load(*store, config, device, dtype)
                                                            : VideoTransformer::stream(store, config, device, dtype);
  const double loaded = since();
  TransformerState state(config, {.geometry = {.width = 32, .height = 32}, .max_frames = 3}, device, dtype);
  model->set_prompt(state, at::zeros({1, config.text_len, config.text_dim}));
  const double prompted = since();
  model->forward(at::zeros({1, 3, config.in_channels, 4, 4}, device), 1000, 0, Pass::denoise(0), state);
  const auto gigabytes = [](int64_t bytes) { return static_cast<double>(bytes) / 1e9; };
  std::printf(
      "%-8s opened %.2f s, loaded %.2f s, text %.2f s, first pass %.2f s; memory now %.2f GB, most %.2f GB, most "
      "on the GPU %.2f GB\n",
      placement == LayerPlacement::kResident ? "resident" : "streamed", opened, loaded, prompted, since(),
      gigabytes(memory_bytes()), gigabytes(peak_memory_bytes()), gigabytes(peak_device_memory_bytes(device)));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: flashblock_load_benchmark TRANSFORMER [bfloat16|float32] [cpu|cuda]\n");
    return 2;
  }
  try {
    const at::ScalarType dtype = argc > 2 && std::string(argv[2]) == "float32" ? at::kFloat : at::kBFloat16;
    const at::Device device = resolve_device(argc > 3 ? argv[3] : "cpu");
    if (!device.is_cpu()) at::zeros({1}, device);  // initializes the device before the clock starts
    measure(argv[1], device, dtype, LayerPlacement::kStreamed);
    measure(argv[1], device, dtype, LayerPlacement::kResident);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "flashblock_load_benchmark: error: %s\n", error.what());
    return 1;
  }
  return 0;
}
