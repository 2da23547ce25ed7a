// The attention library by itself: frame blocks that attend to each other through a cache of keys and values, exactly
// and with the attention over earlier blocks reused. Prints how far results are from plain attention over all keys.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "attention/attention.h"
#include "attention/attention_config.h"
#include "attention/block_attention.h"
#include "attention/block_external_cache.h"
#include "attention/kv_cache.h"

using namespace flashblock;

namespace {

constexpr int64_t kTokens = 64, kFrames = 3, kHeads = 4, kWidth = 64;  // a frame's tokens, a block's frames

at::Tensor random_block(int64_t frames = kFrames) { return at::randn({1, frames * kTokens, kHeads, kWidth}); }

double error(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

/// Attention over two sets of keys, put together from the attention over each.
void merge_two_states() {
  const at::Tensor q = random_block(), k = random_block(6), v = random_block(6);
  const auto [first_keys, other_keys] = std::pair{k.narrow(1, 0, 100), k.narrow(1, 100, k.size(1) - 100)};
  const auto [first_values, other_values] = std::pair{v.narrow(1, 0, 100), v.narrow(1, 100, v.size(1) - 100)};
  const AttentionState merged =
      merge(attention_with_lse(q, first_keys, first_values), attention_with_lse(q, other_keys, other_values));
  const AttentionState whole = attention_by_matrix_products(q, k, v);
  std::printf("merge of two key sets        output %.1e  log-sum-exp %.1e\n", error(merged.output, whole.output),
              error(merged.lse, whole.lse));
}

/// Four passes over each of six frame blocks, and a clean pass that keeps their keys and values. Returns the largest
/// error.
double denoise_blocks(const AttentionConfig& config, const char* name) {
  KvCache cache({.tokens_per_frame = kTokens, .frames_per_block = kFrames, .window_frames = 12, .sink_frames = 3}, 1,
                kHeads, kWidth, at::kCPU, at::kFloat);
  BlockExternalCache external;
  double worst = 0;
  for (int block = 0; block < 6; ++block) {
    const at::Tensor q = random_block(), move = random_block();
    for (int step = 0; step <= 4; ++step) {
      const KeyRange staged = cache.stage(kFrames);  // the block's keys and values change with every pass
      staged.keys.copy_(random_block());
      staged.values.copy_(random_block());
      const at::Tensor moved = q + 0.05 * step * move;  // its queries, a little
      const Pass pass = step < 4 ? Pass::denoise(step) : Pass::clean();
      const at::Tensor found = block_attention(moved, cache, external, config, pass);
      const KeyRange all = cache.all();
      worst = std::max(worst, error(found, attention_by_matrix_products(moved, all.keys, all.values).output));
    }
    cache.commit();  // the oldest frames outside the sink leave the window
    external.forget();
  }
  std::printf("%-28s worst  %.1e  attentions over the past: %lld computed, %lld reused\n", name, worst,
              static_cast<long long>(external.computed() / kHeads), static_cast<long long>(external.reused() / kHeads));
  return worst;
}

}  // namespace

int main() {
  at::manual_seed(1);
  merge_two_states();
  const double exact = denoise_blocks({.mode = AttentionConfig::Mode::kExact}, "exact");
  const double merged = denoise_blocks({.refresh = RefreshPolicy::kEveryPass}, "every pass, merged");
  denoise_blocks({.refresh = RefreshPolicy::kFirstAndCleanPass}, "first and clean pass");
  denoise_blocks({.refresh = RefreshPolicy::kFirstPass}, "first pass");
  return std::max(exact, merged) < 1e-5 ? 0 : 1;  // what reuses nothing is exact
}
