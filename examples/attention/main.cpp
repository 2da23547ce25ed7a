// Uses the attention library alone: frame blocks attend to earlier frame blocks through a KV cache, exactly and with
// cached external attention. Prints the errors against plain attention over all keys.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "attention/attention.h"
#include "attention/attention_config.h"
#include "attention/block_attention.h"
#include "attention/kv_cache.h"

using namespace flashblock;

namespace {

constexpr int64_t kTokens = 64, kFrames = 3, kHeads = 4, kWidth = 64;  // tokens per frame, frames per block

at::Tensor random_block(int64_t frames = kFrames) { return at::randn({1, frames * kTokens, kHeads, kWidth}); }

double error(const at::Tensor& actual, const at::Tensor& expected) {
  return ((actual - expected).norm() / expected.norm()).item<double>();
}

/// Attention over two sets of keys, merged from the attention over each.
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

/// Four denoising passes over each of six frame blocks, and a clean pass whose keys and values are committed. Returns
/// the largest error.
double denoise_blocks(const AttentionConfig& config, const char* name) {
  KvCache cache({.tokens_per_frame = kTokens, .frames_per_block = kFrames, .window_frames = 12, .sink_frames = 3}, 1,
                kHeads, kWidth, at::kCPU, at::kFloat);
  LayerExternal external;
  double worst = 0;
  for (int block = 0; block < 6; ++block) {
    const at::Tensor q = random_block(), move = random_block();
    for (int step = 0; step <= 4; ++step) {
      const KeyRange staged = cache.stage(kFrames);  // the block's keys and values change with every pass
      staged.keys.copy_(random_block());
      staged.values.copy_(random_block());
      const at::Tensor moved = q + 0.05 * step * move;  // its queries change a little
      const Pass pass = step < 4 ? Pass::denoise(step) : Pass::clean();
      const at::Tensor output = block_attention(moved, cache, external, config, pass);
      const KeyRange all = cache.all();
      worst = std::max(worst, error(output, attention_by_matrix_products(moved, all.keys, all.values).output));
    }
    cache.commit();  // evicts the oldest frames of the window, but not the sink
    external.cache.clear();
  }
  std::printf("%-28s worst  %.1e  external attentions: %lld computed, %lld reused\n", name, worst,
              static_cast<long long>(external.work.computed() / kHeads),
              static_cast<long long>(external.work.reused() / kHeads));
  return worst;
}

}  // namespace

int main() {
  at::manual_seed(1);
  merge_two_states();
  const double exact = denoise_blocks({.mode = AttentionConfig::Mode::kExact}, "exact");
  const double merged = denoise_blocks({.refresh = "every_pass"}, "every pass, merged");
  denoise_blocks({.refresh = "first_and_clean_pass"}, "first and clean pass");
  denoise_blocks({.refresh = "first_pass"}, "first pass");
  return std::max(exact, merged) < 1e-5 ? 0 : 1;  // without reuse the result is exact
}
