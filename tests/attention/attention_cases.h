// Small attention problems that several tests of this folder solve.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "attention/external_attention.h"

namespace flashblock::testing {

inline constexpr int64_t kQueries = 18, kKeys = 75, kHeads = 3, kWidth = 64;
inline constexpr int64_t kTokensPerFrame = 6;  // three latent frames

KeyRange past_keys(double scale = 1.7);
at::Tensor queries();
at::Tensor moved_queries(double by);
AttentionState exact(const at::Tensor& q, const KeyRange& keys);  // float64
CachedExternal compute(const at::Tensor& q, const AttentionConfig& config, const Pass& pass);
CachedExternal cached_with(const AttentionConfig& config);  // of queries(), in the first pass

inline const AttentionConfig kExact{.mode = AttentionConfig::Mode::kExact};
AttentionConfig corrected(RefreshPolicyRef refresh);
AttentionConfig plain(RefreshPolicyRef refresh);  // without correction

/// Four frame blocks of one layer, 48 keys each, with four denoising passes and a clean pass. As in a video, queries of
/// neighboring positions and of the same position in other latent frames are alike, and move a little between passes.
struct LayerRun {
  std::vector<at::Tensor> outputs;  ///< of every pass
  int64_t computed = 0, reused = 0;
};
inline constexpr int64_t kPasses = 5, kBlocksWithPast = 3;
LayerRun run_layer(const AttentionConfig& config, double sharpness = 1.7, double move = 0.15);
double largest_error(const LayerRun& actual, const LayerRun& expected);

/// Heads computed and reused over the blocks with external keys, in multiples of all heads of a block.
void expect_counts(const AttentionConfig& config, int64_t computed);

/// Of one layer: in the second pass the first head computes, in the fourth one none, in the clean pass all.
std::shared_ptr<const RefreshGate> some_gate();

}  // namespace flashblock::testing
