// flashblock_core_benchmark: float32 against bfloat16 on this processor, the measurement behind `--dtype auto`.
#include <ATen/Parallel.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include "core/device.h"

namespace {

// The best of six runs, milliseconds.
double best_ms(const std::function<void()>& work) {
  double best = 1e30;
  for (int run = 0; run < 6; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    best = std::min(best, elapsed.count());
  }
  return best;
}

void compare(const char* what, const std::function<std::function<void()>(at::ScalarType)>& prepare) {
  const double full = best_ms(prepare(at::kFloat)), half = best_ms(prepare(at::kBFloat16));
  std::printf("%-40s %9.2f ms %9.2f ms %7.2f x\n", what, full, half, full / half);
}

}  // namespace

int main() {
  std::printf("%d threads, bfloat16 in hardware: %s\n%-40s %12s %12s\n", at::get_num_threads(),
              flashblock::processor_has_bfloat16() ? "yes" : "no", "", "float32", "bfloat16");
  compare("linear 1024 x 1024 x 1024", [](at::ScalarType dtype) {
    const auto x = at::rand({1024, 1024}).to(dtype), w = at::rand({1024, 1024}).to(dtype);
    return [=] { at::linear(x, w); };
  });
  compare("conv3d 96 -> 96, 3x3x3, 3 x 60 x 80", [](at::ScalarType dtype) {
    const auto x = at::rand({1, 96, 3, 60, 80}).to(dtype), w = at::rand({96, 96, 3, 3, 3}).to(dtype);
    return [=] { at::conv3d(x, w, {}, {1, 1, 1}, {0, 1, 1}); };
  });
  compare("conv2d 96 -> 96, 3x3, 4 x 120 x 160", [](at::ScalarType dtype) {
    const auto x = at::rand({4, 96, 120, 160}).to(dtype), w = at::rand({96, 96, 3, 3}).to(dtype);
    return [=] { at::conv2d(x, w, {}, {1, 1}, {1, 1}); };
  });
  compare("attention 8 heads, 512 to 2048 tokens", [](at::ScalarType dtype) {
    const auto q = at::rand({1, 8, 512, 64}).to(dtype), k = at::rand({1, 8, 2048, 64}).to(dtype);
    return [=] { at::scaled_dot_product_attention(q, k, k); };
  });
  compare("layer_norm 4096 x 1536", [](at::ScalarType dtype) {
    const auto x = at::rand({4096, 1536}).to(dtype);
    return [=] { at::layer_norm(x, {1536}); };
  });
  return 0;
}
