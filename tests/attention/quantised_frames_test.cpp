// Frames in 8 bits: rounding and what it leaves out, attention to them, kernels against LibTorch's operators.
#include "attention/quantised_frames.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "attention/block_attention.h"
#include "attention/refresh_policy.h"
#include "tests/support/cuda.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock::testing {
namespace {

FrameCodes codes_for(const at::Tensor& x, int64_t frames) {
  return {.codes = at::empty(x.sizes(), x.options().dtype(at::kChar)),
          .steps = at::empty({x.size(0), x.size(1), x.size(2)}, x.options()),
          .means = at::empty({x.size(0), frames, x.size(2), x.size(3)}, x.options())};
}

FrameCodes rounded(const at::Tensor& x, int64_t frames) {
  FrameCodes codes = codes_for(x, frames);
  quantise_frames(x, codes);
  return codes;
}

TEST(QuantisedFrames, AreOffByHalfAStepAtMost) {
  const at::Tensor x = at::randn({2, 3 * 10, 2, 16});
  const FrameCodes codes = rounded(x, 3);
  const at::Tensor off = (dequantise_frames(codes) - x).abs(), step = codes.steps.unsqueeze(-1);
  EXPECT_TRUE((off <= 0.5001 * step).all().item<bool>());
  EXPECT_TENSORS_CLOSE(codes.means[1][2], x[1].narrow(0, 20, 10).mean(0), 1e-5, 1e-6);
  EXPECT_EQ(codes.codes.abs().amax(-1).min().item<int>(), 127) << "each row uses all numbers";
  EXPECT_TENSORS_NEAR_IN_NORM(dequantise_frames(codes), x, 1e-2);
}

/// What the tokens of a frame have in common costs nothing, however large it is.
TEST(QuantisedFrames, KeepWhatAFrameHasInCommon) {
  const at::Tensor x = at::randn({1, 4 * 50, 3, 32}), common = at::randn({1, 1, 3, 32}) * 100;
  const at::Tensor alone = dequantise_frames(rounded(x, 4)) - x;
  const at::Tensor together = dequantise_frames(rounded(x + common, 4)) - (x + common);
  EXPECT_LE(together.norm().item<double>(), 1.02 * alone.norm().item<double>());
  const at::Tensor constant = at::full({1, 6, 1, 8}, 0.3);
  EXPECT_TENSORS_CLOSE(dequantise_frames(rounded(constant, 2)), constant, 1e-6, 0);
}

TEST(QuantisedFrames, DoNotDependOnTheFramesBesideThem) {
  const at::Tensor x = at::randn({1, 3 * 7, 2, 8});
  QuantisedFrames all(3, 7, x.options(), 1, 2, 8), one(3, 7, x.options(), 1, 2, 8);
  all.store(0, {x, -x});
  for (int64_t frame : {2, 0, 1}) one.store(frame, {x.narrow(1, 7 * frame, 7), -x.narrow(1, 7 * frame, 7)});
  EXPECT_TENSORS_IDENTICAL(one.load(0, 3).keys, all.load(0, 3).keys);
  EXPECT_TENSORS_IDENTICAL(one.load(1, 1).values, all.load(0, 3).values.narrow(1, 7, 7));
}

TEST(QuantisedFrames, NaNStays) {
  at::Tensor x = at::randn({1, 4, 1, 8});
  x[0][1][0][3] = NAN;
  const at::Tensor back = dequantise_frames(rounded(x, 2));
  EXPECT_TRUE(back[0][1].isnan().any().item<bool>());
  EXPECT_FALSE(back[0][2].isnan().any().item<bool>());
}

constexpr int64_t kTokens = 12, kHeads = 2, kWidth = 32, kFrames = 3;

/// The outputs of all passes over some frame blocks.
std::vector<at::Tensor> attend(const AttentionConfig& config, const KvCacheLayout& layout, int64_t blocks) {
  KvCache kv(layout, 1, kHeads, kWidth, at::kCPU, at::kFloat, config.kv_cache);
  LayerExternal external;
  std::vector<at::Tensor> outputs;
  for (int64_t block = 0; block < blocks; ++block) {
    for (const Pass& pass : {Pass::denoise(0), Pass::denoise(1), Pass::clean()}) {
      const std::string name = std::to_string(block) + "." + std::to_string(outputs.size());
      const std::vector<int64_t> shape{1, kFrames * kTokens, kHeads, kWidth};
      const KeyRange staged = kv.stage(kFrames);
      staged.keys.copy_(formula_data("k" + name, shape, 1.7) + 2);
      staged.values.copy_(formula_data("v" + name, shape, 1.7) + 1);
      outputs.push_back(block_attention(formula_data("q" + name, shape, 1.7), kv, external, config, pass));
    }
    kv.commit();
    external.cache.clear();
  }
  return outputs;
}

TEST(QuantisedFrames, AttentionToThemIsNearTheExactOne) {
  for (const int64_t sink : {0, 3}) {
    const KvCacheLayout layout{kTokens, kFrames, 3 + sink + 2 * KvCache::kPartFrames, sink};
    for (const auto mode : {AttentionConfig::Mode::kExact, AttentionConfig::Mode::kFlashblock}) {
      const AttentionConfig native{.mode = mode};
      AttentionConfig int8 = native;
      int8.kv_cache = AttentionPrecision::kInt8;
      const auto expected = attend(native, layout, 10), actual = attend(int8, layout, 10);
      double most = 0;
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_TENSORS_NEAR_IN_NORM(actual[i], expected[i], 1e-3) << i;
        most = std::max(most, relative_norm_error(actual[i], expected[i]));
      }
      EXPECT_GT(most, 1e-6) << "not in 8 bits";
    }
  }
}

TEST(QuantisedFrames, EveryPolicyTakesThem) {
  const KvCacheLayout layout{kTokens, kFrames, 3 + 3 + 9, 3};
  for (const char* policy : {"every_pass", "first_pass", "every_nth", "error_bound"}) {
    for (const double density : {0.0, 0.3}) {
      AttentionConfig native{.refresh = policy, .density = density};
      if (density > 0 && native.refresh->decides_by_head()) continue;
      AttentionConfig int8 = native;
      int8.kv_cache = AttentionPrecision::kInt8;
      const auto expected = attend(native, layout, 5), actual = attend(int8, layout, 5);
      for (size_t i = 0; i < expected.size(); ++i) EXPECT_TENSORS_NEAR_IN_NORM(actual[i], expected[i], 3e-3) << policy;
    }
  }
}

class QuantisedFramesCuda : public ::testing::Test {
 protected:
  void SetUp() override { FLASHBLOCK_NEED_CUDA(); }
};

TEST_F(QuantisedFramesCuda, KernelsGiveTheBitsOfTheOperators) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& [frames, tokens, heads, width] :
         {std::array<int64_t, 4>{3, 1560, 12, 128}, {2, 7, 3, 64}, {1, 5, 1, 8}, {4, 33, 2, 256}, {2, 11, 2, 96}}) {
      SCOPED_TRACE(width);
      const auto options = at::TensorOptions(kGpu).dtype(dtype);
      at::Tensor x = at::randn({1, frames * tokens, heads, width}, options) * 3 + 1;
      x.select(1, 2).zero_();
      FrameCodes codes = rounded(x, frames), expected = codes_for(x, frames);
      expected.means.copy_(codes.means);
      quantise_frames_by_operators(x, expected);
      EXPECT_TENSORS_IDENTICAL(codes.codes, expected.codes);
      EXPECT_TENSORS_IDENTICAL(codes.steps, expected.steps);
      EXPECT_TENSORS_IDENTICAL(dequantise_frames(codes), dequantise_frames_by_operators(codes));
      EXPECT_TENSORS_NEAR_IN_NORM(dequantise_frames(codes), x, 1.2e-2);
    }
  }
}

TEST_F(QuantisedFramesCuda, NaNStays) {
  at::Tensor x = at::randn({1, 6, 2, 128}, at::TensorOptions(kGpu).dtype(at::kBFloat16));
  x[0][1][0][77] = NAN;
  const at::Tensor back = dequantise_frames(rounded(x, 2));
  EXPECT_TRUE(back[0][1][0].isnan().any().item<bool>());
  EXPECT_FALSE(back[0][4].isnan().any().item<bool>());
}

/// Frames stored one by one, in a ring that is read in two parts and one, at the width and tokens of the 1.3B model.
TEST_F(QuantisedFramesCuda, AttentionToPartsIsNearTheNativeOne) {
  constexpr int64_t kPublishedTokens = 1560, kPublishedHeads = 12, kPublishedWidth = 128;
  const KvCacheLayout layout{kPublishedTokens, 3, 3 + 3 + KvCache::kPartFrames + 3, 3};
  KvCache native(layout, 1, kPublishedHeads, kPublishedWidth, kGpu, at::kBFloat16);
  KvCache int8(layout, 1, kPublishedHeads, kPublishedWidth, kGpu, at::kBFloat16, AttentionPrecision::kInt8);
  const auto numbers = [] {
    return at::randn({1, 3 * kPublishedTokens, kPublishedHeads, kPublishedWidth},
                     at::TensorOptions(kGpu).dtype(at::kBFloat16));
  };
  for (int64_t block = 0; block < 9; ++block) {
    const at::Tensor k = numbers() + 1, v = numbers() + 2;
    for (KvCache* kv : {&native, &int8}) {
      const KeyRange staged = kv->stage(3);
      staged.keys.copy_(k), staged.values.copy_(v);
      kv->commit();
    }
  }
  ASSERT_EQ(int8.past_parts(), 3);
  EXPECT_TENSORS_NEAR_IN_NORM(int8.past().keys, native.past().keys, 1e-2);
  const at::Tensor q = numbers();
  const AttentionState expected = attention_to_parts(q, KeyParts(native)),
                       actual = attention_to_parts(q, KeyParts(int8));
  EXPECT_TENSORS_NEAR_IN_NORM(actual.output, expected.output, 6e-3);
  EXPECT_TENSORS_CLOSE(actual.lse, expected.lse, 0, 2e-2);
}

}  // namespace
}  // namespace flashblock::testing
