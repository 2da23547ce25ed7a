// The convolutions of bordered frames against LibTorch's in float32, at the shipped widths and sizes and at odd ones.
#include "vae/bordered_convolution.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/cudnn_convolution.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/tensor_matchers.h"
#include "tests/vae/device_cases.h"
#include "vae/causal_conv3d.h"
#include "vae/coder_blocks.h"
#include "vae/feature_cache.h"
#include "vae/frame_ops.h"

namespace flashblock::testing {
namespace {

constexpr double kBound = 4e-3;  // docs/numerics.md, "VAE, one operation", bfloat16

at::TensorOptions float_on(at::Device device) { return at::TensorOptions(at::kFloat).device(device); }

/// Random values that are exact in bfloat16, as float32.
at::Tensor exact_randn(const std::vector<int64_t>& sizes, double scale, at::Device device) {
  return (at::randn(sizes, float_on(device)) * scale).to(at::kBFloat16).to(at::kFloat);
}

ConvWeights random_weights(const std::vector<int64_t>& sizes, at::Device device) {
  double fan_in = 1;
  for (size_t i = 1; i < sizes.size(); ++i) fan_in *= static_cast<double>(sizes[i]);
  return {exact_randn(sizes, 1 / std::sqrt(fan_in), device), at::randn({sizes[0]}, float_on(device))};
}

/// frames [T, H, W, C] float32, weights of rank 5; padding in space. On a GPU without TF32.
at::Tensor plain_convolution_of(const at::Tensor& frames, const ConvWeights& weights) {
  const at::Tensor clip = frames.permute({3, 0, 1, 2}).unsqueeze(0).contiguous();
  const at::Tensor result =
      frames.is_cuda()
          ? at::cudnn_convolution(clip, weights.weight, {0, 1, 1}, {1, 1, 1}, {1, 1, 1}, 1, false, true,
                                  /*allow_tf32=*/false)
          : at::convolution(clip, weights.weight, {}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, false, {0, 0, 0}, 1);
  const at::Tensor sums = result[0].permute({1, 2, 3, 0}).contiguous();
  return weights.bias.defined() ? sums + weights.bias : sums;
}

/// NaN in the memory that the next tensor of this size gets: what a kernel leaves out shows.
void poison(const at::Tensor& like) { at::full(like.sizes(), NAN, like.options().dtype(at::kBFloat16)); }

struct Size {
  int64_t in_channels, out_channels, frames, height, width;

  std::string text() const {
    return ::testing::PrintToString(std::vector<int64_t>{in_channels, out_channels, frames, height, width});
  }
};

/// All ways to write a result.
void expect_causal(const Size& size, at::Device device) {
  SCOPED_TRACE(size.text());
  ConvWeights weights = random_weights({size.out_channels, size.in_channels, 3, 3, 3}, device);
  const at::Tensor frames = exact_randn({size.frames + 2, size.height, size.width, size.in_channels}, 1.0, device);
  const at::Tensor expected = plain_convolution_of(frames, weights);
  const at::Tensor bordered = add_border({frames.to(at::kBFloat16), {}});
  const BorderedConvolution::History history{bordered[0].clone(), bordered[1].clone()};
  const at::Tensor latest = bordered.narrow(0, 2, size.frames).clone();
  const BorderedConvolution convolution(weights);
  at::Tensor result = at::full(expected.sizes(), NAN, expected.options().dtype(at::kBFloat16));
  convolution.forward(history, latest, result);
  EXPECT_TENSORS_NEAR_IN_NORM(result, expected, kBound);
  at::Tensor sum = exact_randn(expected.sizes().vec(), 1.0, device).to(at::kBFloat16);
  const at::Tensor expected_sum = sum.to(at::kFloat) + expected;
  convolution.add_to(sum, history, latest);
  EXPECT_TENSORS_NEAR_IN_NORM(sum, expected_sum, kBound);
  const at::Tensor gamma = at::randn({size.out_channels}, float_on(device));
  poison(at::empty({size.frames, size.height + 2, size.width + 2, size.out_channels}, expected.options()));
  EXPECT_TENSORS_NEAR_IN_NORM(convolution.forward_normalised(history, latest, gamma),
                              reference::rms_norm_bordered({expected, {}}, gamma, Activation::kSilu), kBound);
  weights.bias = at::Tensor();
  BorderedConvolution(weights).forward(history, latest, result);
  EXPECT_TENSORS_NEAR_IN_NORM(result, plain_convolution_of(frames, weights), kBound);
}

void expect_doubling(const Size& size, at::Device device) {
  SCOPED_TRACE(size.text());
  const ConvWeights weights = random_weights({size.out_channels, size.in_channels, 1, 3, 3}, device);
  const at::Tensor frames = exact_randn({size.frames, size.height, size.width, size.in_channels}, 1.0, device);
  const at::Tensor doubled =
      at::upsample_nearest2d(frames.permute({0, 3, 1, 2}).contiguous(), {2 * size.height, 2 * size.width})
          .permute({0, 2, 3, 1});
  const at::Tensor expected = plain_convolution_of(doubled, weights);
  const BorderedDoubling doubling(all_phases({weights.weight.squeeze(2), weights.bias}));
  poison(expected);
  EXPECT_TENSORS_NEAR_IN_NORM(doubling.forward(add_border({frames.to(at::kBFloat16), {}})), expected, kBound);
}

const std::vector<Size> kOddSizes = {{32, 96, 1, 1, 1},     {64, 192, 3, 5, 7},   {96, 288, 2, 2, 300},
                                     {32, 384, 5, 130, 2},  {160, 96, 1, 16, 16}, {384, 384, 7, 9, 13},
                                     {32, 192, 2, 60, 104}, {32, 96, 1, 33, 31}};

TEST(BorderedConvolution, EqualsThePlainConvolution) {
  for (const Size& size : {kOddSizes[0], kOddSizes[1], kOddSizes[4]}) expect_causal(size, at::kCPU);
}

TEST(BorderedConvolution, DoublingEqualsNearestNeighbourThenConvolution) {
  for (const Size& size : {kOddSizes[0], kOddSizes[1]}) expect_doubling(size, at::kCPU);
}

class BorderedCuda : public ::testing::Test {
 protected:
  void SetUp() override {
    FB_SKIP_WITHOUT_GPU(kGpu);
    if (!BorderedConvolution::supports(random_weights({96, 32, 3, 3, 3}, kGpu), at::kBFloat16))
      GTEST_SKIP() << "not a Hopper GPU: cuDNN computes these convolutions";
  }
};

TEST_F(BorderedCuda, CausalConvolutionsOfOddSizes) {
  for (const Size& size : kOddSizes) expect_causal(size, kGpu);
}

TEST_F(BorderedCuda, CausalConvolutionsOfTheWanVae) {
  for (const Size& size :
       {Size{96, 96, 4, 480, 832}, Size{96, 96, 1, 480, 832}, Size{192, 192, 4, 240, 416}, Size{384, 384, 2, 120, 208},
        Size{192, 384, 2, 120, 208}, Size{384, 384, 1, 60, 104}, Size{384, 384, 3, 36, 64}})
    expect_causal(size, kGpu);
}

TEST_F(BorderedCuda, DoublingConvolutions) {
  for (const Size& size : kOddSizes) expect_doubling(size, kGpu);
  for (const Size& size : {Size{384, 192, 2, 60, 104}, Size{384, 192, 4, 120, 208}, Size{192, 96, 4, 240, 416}})
    expect_doubling(size, kGpu);
}

TEST_F(BorderedCuda, AVideoInAnyCallsHasTheSameBits) {
  const ConvWeights weights = random_weights({96, 96, 3, 3, 3}, kGpu);
  const at::Tensor gamma = at::randn({96}, float_on(kGpu));
  const at::Tensor video = at::randn({13, 11, 20, 96}, float_on(kGpu)).to(at::kBFloat16);
  const CausalConv3d convolution("slot", weights, at::kBFloat16);
  FeatureCache whole_cache;
  const at::Tensor whole = convolution.forward_normalised({video, {}}, gamma, whole_cache).frames;
  const at::Tensor normalised = at::cat({at::zeros({2, 11, 20, 96}, float_on(kGpu)),
                                         reference::rms_norm({video, {}}, gamma, Activation::kSilu).to(at::kFloat)});
  EXPECT_TENSORS_NEAR_IN_NORM(whole, plain_convolution_of(normalised, weights), 2 * kBound);  // two roundings
  for (const std::vector<int64_t>& calls : {std::vector<int64_t>{1, 4, 4, 4}, {1, 1, 1, 8, 1, 1}, {6, 7}}) {
    FeatureCache cache;
    std::vector<at::Tensor> parts;
    int64_t first = 0;
    for (const int64_t count : calls) {
      parts.push_back(convolution.forward_normalised({video.narrow(0, first, count), {}}, gamma, cache).frames);
      first += count;
    }
    EXPECT_TENSORS_IDENTICAL(at::cat(parts), whole) << ::testing::PrintToString(calls);
  }
}

TEST_F(BorderedCuda, OtherWeightsAreLeftToConvolution) {
  const auto supports = [](std::vector<int64_t> sizes, at::ScalarType dtype = at::kBFloat16) {
    return BorderedConvolution::supports({at::zeros(sizes, float_on(kGpu)), {}}, dtype);
  };
  EXPECT_TRUE(supports({192, 64, 3, 3, 3}));
  EXPECT_FALSE(supports({192, 64, 3, 3, 3}, at::kFloat));
  EXPECT_FALSE(supports({192, 16, 3, 3, 3}));
  EXPECT_FALSE(supports({3, 96, 3, 3, 3}));
  EXPECT_FALSE(supports({192, 96, 3, 1, 1}));
  EXPECT_FALSE(supports({192, 96, 3, 3}));
}

TEST(BorderedConvolution, IsNotForTheCpu) {
  EXPECT_FALSE(BorderedConvolution::supports({at::zeros({96, 96, 3, 3, 3}), {}}, at::kBFloat16));
  EXPECT_FALSE(BorderedDoubling::supports({at::zeros({384, 96, 2, 2}), {}}, at::kBFloat16));
}

// Against a list of all frames so far.
TEST(FeatureCache, KeepsTheLastFramesOfAnyCalls) {
  FeatureCache cache;
  std::vector<at::Tensor> all(2, at::zeros({3, 4, 5}));
  for (const int64_t count : {1, 1, 3, 4, 1, 9, 2}) {
    const auto last = cache.last_frames("slot", 2, {3, 4, 5}, at::kFloat);
    ASSERT_EQ(last.size(), 2u);
    EXPECT_TENSORS_IDENTICAL(last[0], all[all.size() - 2]);
    EXPECT_TENSORS_IDENTICAL(last[1], all[all.size() - 1]);
    const at::Tensor frames = at::randn({count, 3, 4, 5});
    cache.keep_frames("slot", frames);
    for (const at::Tensor& frame : frames.unbind(0)) all.push_back(frame);
    EXPECT_LE(cache.bytes(), 3 * 3 * 4 * 5 * static_cast<int64_t>(sizeof(float)));
  }
  EXPECT_TRUE(cache.contains("slot"));
  EXPECT_EQ(cache.bytes(), 2 * 3 * 4 * 5 * static_cast<int64_t>(sizeof(float)));
  cache.reset();
  EXPECT_FALSE(cache.contains("slot"));
  EXPECT_EQ(cache.bytes(), 0);
}

}  // namespace
}  // namespace flashblock::testing
