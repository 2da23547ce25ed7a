// What language models add: grouped heads, rotation by halves, prefill under a mask, the fused clean pass.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "attention/attention.h"
#include "attention/block_causal_attention.h"
#include "attention/fused_clean_pass.h"
#include "attention/grouped_heads.h"
#include "attention/rope.h"
#include "core/error.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;

constexpr int64_t kGroup = 4, kKvHeads = 2, kHeadWidth = 32;

at::Tensor values(const std::string& name, at::IntArrayRef shape) { return formula_data(name, shape.vec(), 1.5); }

TEST(GroupedHeads, EqualRepeatedKeys) {
  const at::Tensor q = values("q", {2, 5, kGroup * kKvHeads, kHeadWidth});
  const at::Tensor k = values("k", {2, 9, kKvHeads, kHeadWidth}), v = values("v", {2, 9, kKvHeads, kHeadWidth});
  const at::Tensor grouped = attention(group_queries(q, kKvHeads), k, v);
  const at::Tensor repeated =
      attention_by_matrix_products(q, k.repeat_interleave(kGroup, 2), v.repeat_interleave(kGroup, 2)).output;
  EXPECT_TENSORS_NEAR_IN_NORM(ungroup_queries(grouped, kGroup), repeated, 1e-6);
}

TEST(GroupedHeads, UngroupingIsTheInverse) {
  const at::Tensor q = values("q", {2, 5, 6, 8});
  for (const int64_t kv_heads : {1, 2, 3, 6})
    EXPECT_TENSORS_IDENTICAL(ungroup_queries(group_queries(q, kv_heads), 6 / kv_heads), q);
}

TEST(TextRope, TurnsHalvesByThePosition) {
  const TextRopeTable table(8, 40, 100, at::kCPU);
  const at::Tensor x = values("x", {1, 3, 2, 8});
  const at::Tensor turned = apply_rope_halves(x, table.rotation(17, 3));
  for (int64_t token = 0; token < 3; ++token)
    for (int64_t head = 0; head < 2; ++head)
      for (int64_t pair = 0; pair < 4; ++pair) {
        const auto at = [&](const at::Tensor& t, int64_t i) { return t[0][token][head][i].item<double>(); };
        const double angle = double(17 + token) * std::pow(100, -2.0 * double(pair) / 8);
        EXPECT_NEAR(at(turned, pair), at(x, pair) * std::cos(angle) - at(x, pair + 4) * std::sin(angle), 1e-6);
        EXPECT_NEAR(at(turned, pair + 4), at(x, pair + 4) * std::cos(angle) + at(x, pair) * std::sin(angle), 1e-6);
      }
}

KvCache text_cache(int64_t staged) {
  return KvCache({.tokens_per_frame = 1, .frames_per_block = staged, .window_frames = staged + 64}, 1, kKvHeads,
                 kHeadWidth, at::kCPU, at::kFloat);
}

void write_staged(KvCache& kv, int64_t tokens, const std::string& name) {
  const KeyRange staged = kv.stage(tokens);
  staged.keys.copy_(values(name + "k", {1, tokens, kKvHeads, kHeadWidth}));
  staged.values.copy_(values(name + "v", {1, tokens, kKvHeads, kHeadWidth}));
}

TEST(KvCache, CommitsTheEndOfABlockAlone) {
  KvCache kv = text_cache(8);
  write_staged(kv, 4, "a");
  kv.commit();
  write_staged(kv, 8, "b");
  const at::Tensor end = kv.block_end(4).keys.clone(), begin = kv.block_begin(4).keys.clone();
  EXPECT_TENSORS_IDENTICAL(at::cat({begin, end}, 1), values("bk", {1, 8, kKvHeads, kHeadWidth}));
  kv.commit_end(4);
  EXPECT_EQ(kv.past_frames(), 8);
  EXPECT_TENSORS_IDENTICAL(kv.past().keys.narrow(1, 4, 4), end);
  EXPECT_THROW(kv.commit_end(4), std::logic_error) << "nothing is staged any more";
}

TEST(BlockCausalAttention, EqualsOneMaskedSoftmax) {
  for (const int64_t past : {0, 12}) {
    KvCache kv = text_cache(12);
    if (past > 0) {
      write_staged(kv, past, "past");
      kv.commit();
    }
    write_staged(kv, 12, "staged");
    const at::Tensor q = values("q", {1, 12 * kGroup, kKvHeads, kHeadWidth});
    const at::Tensor keys = at::cat({kv.past().keys, kv.block().keys}, 1);
    const at::Tensor vals = at::cat({kv.past().values, kv.block().values}, 1);
    at::Tensor scores = at::matmul(q.transpose(1, 2), keys.permute({0, 2, 3, 1})) / std::sqrt(double(kHeadWidth));
    for (int64_t row = 0; row < 12 * kGroup; ++row)
      for (int64_t key = 0; key < 12; ++key)
        if (key / 4 > row / kGroup / 4)
          scores.select(2, row).select(2, past + key).fill_(-std::numeric_limits<double>::infinity());
    const at::Tensor expected = at::matmul(at::softmax(scores, -1), vals.transpose(1, 2)).transpose(1, 2);
    EXPECT_TENSORS_NEAR_IN_NORM(block_causal_attention(q, kv, 4), expected, 1e-6) << past;
  }
}

// The finished block's clean pass and the next block's first pass, in one call and in two.
TEST(FusedCleanPass, EqualsTheTwoPasses) {
  const at::Tensor q = values("q", {1, 8 * kGroup, kKvHeads, kHeadWidth});
  const at::Tensor q_next = q.narrow(1, 0, 4 * kGroup), q_finished = q.narrow(1, 4 * kGroup, 4 * kGroup);
  for (const int64_t past : {0, 12})
    for (const char* policy : {"first_and_clean_pass", "first_pass"}) {
      const AttentionConfig config{.refresh = policy};
      const auto begin = [&](KvCache& kv, LayerExternal& external) {
        if (past > 0) {
          write_staged(kv, past, "past");
          kv.commit();
        }
        write_staged(kv, 4, "unfinished");
        block_attention(values("q0", {1, 4 * kGroup, kKvHeads, kHeadWidth}), kv, external, config, Pass::denoise(0));
      };
      KvCache kv = text_cache(12);
      LayerExternal external{.mean_key_per_query = true};
      begin(kv, external);
      write_staged(kv, 8, "staged");
      const FusedAttention fused = fused_clean_attention(
          q, {.next_rows = 4 * kGroup, .finished_tokens = 4, .clean = Pass::clean()}, kv, external, config);
      const KeyRange finished{kv.block_end(4).keys.clone(), kv.block_end(4).values.clone()};
      const KeyRange next{kv.block_begin(4).keys.clone(), kv.block_begin(4).values.clone()};

      KvCache separate = text_cache(12);
      LayerExternal its_external{.mean_key_per_query = true};
      begin(separate, its_external);
      const auto stage = [&](const KeyRange& from) {
        const KeyRange staged = separate.stage(4);
        staged.keys.copy_(from.keys);
        staged.values.copy_(from.values);
      };
      stage(finished);
      const at::Tensor clean = block_attention(q_finished, separate, its_external, config, Pass::clean());
      separate.commit();
      its_external.cache.clear();
      stage(next);
      const at::Tensor first = block_attention(q_next, separate, its_external, config, Pass::denoise(0));

      EXPECT_TENSORS_NEAR_IN_NORM(fused.output.narrow(1, 0, 4 * kGroup), first, 1e-6) << past << policy;
      EXPECT_TENSORS_NEAR_IN_NORM(fused.output.narrow(1, 4 * kGroup, 4 * kGroup), clean, 1e-6) << past << policy;
      ASSERT_TRUE(fused.next.has_value());
      const CachedExternal& expected = its_external.cache.state();
      EXPECT_TENSORS_NEAR_IN_NORM(fused.next->state.output, expected.state.output, 1e-6);
      EXPECT_TENSORS_NEAR_IN_NORM(fused.next->state.lse, expected.state.lse, 1e-6);
      EXPECT_TENSORS_NEAR_IN_NORM(fused.next->mean_key, expected.mean_key, 1e-6);
      EXPECT_EQ(external.work.computed(), its_external.work.computed());
    }
}

}  // namespace
}  // namespace flashblock
