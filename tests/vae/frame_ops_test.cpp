// Every fast path of the VAE against its reference implementation, at the shipped widths and at odd ones.
#include "vae/frame_ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/pixel_shuffle.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"
#include "tests/vae/device_cases.h"
#include "vae/coder_blocks.h"
#include "vae/convolution.h"
#include "vae/head_convolution.h"
#include "vae/latent_stats.h"
#include "vae/pixel_patches.h"

namespace flashblock::testing {
namespace {

/// The reference 3-D convolution: LibTorch's, in float32, over [T, H, W, C].
at::Tensor plain_convolution(const at::Tensor& frames, const ConvWeights& weights, int64_t padding,
                             int64_t time_stride = 1) {
  const at::Tensor weight = weights.weight.dim() == 4 ? weights.weight.unsqueeze(2) : weights.weight;
  const at::Tensor clip = frames.cpu().to(at::kFloat).permute({3, 0, 1, 2}).unsqueeze(0).contiguous();
  const at::Tensor result =
      at::convolution(clip, weight.cpu().contiguous(), weights.bias.defined() ? weights.bias.cpu() : at::Tensor(),
                      {time_stride, 1, 1}, {0, padding, padding}, {1, 1, 1}, false, {0, 0, 0}, 1);
  return result[0].permute({1, 2, 3, 0}).contiguous();
}

class FrameOps : public ::testing::TestWithParam<DeviceCase> {
 protected:
  void SetUp() override { FB_SKIP_WITHOUT_GPU(GetParam().device); }

  at::Tensor data(const std::string& name, const std::vector<int64_t>& shape, double bound = 1.0) const {
    return formula_data(name, shape, bound).to(GetParam().device, GetParam().dtype);
  }
  at::Tensor vector(const std::string& name, int64_t size) const {
    return formula_data(name, {size}, 1.0).to(GetParam().device);
  }
  /// Float32 weights that are exact in the compute dtype, so that only the arithmetic is compared.
  ConvWeights weights(const std::vector<int64_t>& shape) const {
    return {formula_tensor("conv.weight", shape).to(GetParam().dtype).to(GetParam().device, at::kFloat),
            data("conv.bias", {shape[0]}).to(at::kFloat)};
  }
  void expect_near(const at::Tensor& actual, const at::Tensor& expected) const {
    EXPECT_TENSORS_NEAR_IN_NORM(actual.cpu(), expected.cpu(), GetParam().bound);
  }
};

// With neither oneDNN nor, for that many channels, cuDNN's 3-D convolution: in parts, the last one shorter.
TEST(Convolution, JoinedTapsEqualThePlainConvolution) {
  for (const int64_t frames : {1, 4, 9}) {
    const ConvWeights weights{formula_tensor("conv.weight", {40, 96, 3, 3, 3}), formula_data("conv.bias", {40}, 1.0)};
    const at::Tensor input = formula_data("frames", {frames + 2, 5, 7, 96}, 1.0);
    const Convolution convolution(weights, at::kDouble, {.padding = 1});
    EXPECT_TENSORS_NEAR_IN_NORM(convolution.forward(input.to(at::kDouble)), plain_convolution(input, weights, 1), 1e-6)
        << frames;
  }
}

TEST_P(FrameOps, NormEqualsItsReference) {
  for (const int64_t channels : {16, 32, 96, 192, 384, 416, 1024, 8, 20, 7}) {
    const at::Tensor frames = data("frames", {2, 5, 7, channels}, 3.0), gamma = vector("gamma", channels);
    for (const at::Tensor& bias : {at::Tensor(), vector("bias", channels)}) {
      for (const Activation activation : {Activation::kNone, Activation::kSilu}) {
        SCOPED_TRACE(channels);
        at::Tensor out = at::empty_like(frames);
        rms_norm({frames, bias}, gamma, activation, out);
        expect_near(out, reference::rms_norm({frames, bias}, gamma, activation));
        expect_near(rms_norm_bordered({frames, bias}, gamma, activation),
                    reference::rms_norm_bordered({frames, bias}, gamma, activation));
      }
    }
  }
}

TEST_P(FrameOps, NormOfExtremeValues) {
  const at::Tensor gamma = vector("gamma", 16) + 40;  // SiLU of about +-160 and more
  at::Tensor frames = data("frames", {1, 1, 3, 16}, 1e3);
  frames.select(2, 1).zero_();
  at::Tensor out = at::empty_like(frames);
  rms_norm({frames, {}}, gamma, Activation::kSilu, out);
  expect_near(out, reference::rms_norm({frames, {}}, gamma, Activation::kSilu));
  EXPECT_EQ(out.select(2, 1).abs().max().item<float>(), 0.0f);
}

TEST_P(FrameOps, InterleavingEqualsItsReference) {
  for (const int64_t channels : {16, 96, 3}) {
    const at::Tensor phases = data("phases", {3, 5, 4, 4 * channels});
    for (const at::Tensor& bias : {at::Tensor(), vector("bias", 4 * channels)})
      expect_near(interleave_phases({phases, bias}), reference::interleave_phases({phases, bias}));
  }
}

TEST_P(FrameOps, BorderEqualsItsReference) {
  for (const int64_t channels : {16, 96, 6}) {
    const at::Tensor frames = data("frames", {3, 5, 7, 2 * channels});
    for (const at::Tensor& bias : {at::Tensor(), vector("bias", 2 * channels)})
      for (const int64_t frames_per_frame : {1, 2})
        expect_near(add_border({frames, bias}, frames_per_frame),
                    reference::add_border({frames, bias}, frames_per_frame));
  }
}

TEST_P(FrameOps, SumWithBias) {
  for (const int64_t channels : {96, 7}) {
    at::Tensor sum = data("sum", {2, 3, 4, channels});
    const at::Tensor addend = data("addend", {2, 3, 4, channels}), bias = vector("bias", channels);
    const at::Tensor expected = sum.to(at::kFloat) + addend.to(at::kFloat) + bias;
    add_biased(sum, {addend, bias});
    expect_near(sum, expected);
  }
}

TEST_P(FrameOps, ConvolutionsEqualThePlainOne) {
  struct Case {
    std::vector<int64_t> weight;
    ConvGeometry geometry;
  };
  const std::vector<Case> cases = {{{32, 16, 3, 3, 3}, {.padding = 1}},
                                   {{24, 40, 3, 1, 1}, {}},
                                   {{32, 16, 3, 1, 1}, {.time_stride = 2}},
                                   {{48, 16, 2, 3, 3}, {.padding = 1}},
                                   {{32, 16, 3, 3}, {.padding = 1}},
                                   {{48, 16, 1, 1, 1}, {}},
                                   {{5, 16, 1, 1}, {}},
                                   {{64, 32, 2, 2}, {.padding = 1}}};
  for (const Case& c : cases) {
    SCOPED_TRACE(::testing::PrintToString(c.weight));
    const ConvWeights conv = weights(c.weight);
    const at::Tensor frames = data("frames", {5, 6, 9, c.weight[1]});
    const Convolution convolution(conv, GetParam().dtype, c.geometry);
    const at::Tensor expected = plain_convolution(frames, conv, c.geometry.padding, c.geometry.time_stride);
    expect_near(convolution.forward(frames), expected);
    at::Tensor sum = data("sum", expected.sizes().vec());
    const at::Tensor expected_sum = sum.cpu().to(at::kFloat) + expected;
    convolution.add_to(sum, frames);
    expect_near(sum, expected_sum);
    const BiasedFrames biased = convolution.forward_biased(frames);
    expect_near(biased.bias.defined() ? biased.frames + biased.bias : biased.frames, expected);
  }
}

TEST_P(FrameOps, DoublingEqualsNearestNeighbourThenConvolution) {
  const ConvWeights conv = weights({24, 16, 3, 3});
  const at::Tensor frames = data("frames", {3, 5, 7, 16});
  const at::Tensor doubled =
      at::upsample_nearest2d(frames.cpu().to(at::kFloat).permute({0, 3, 1, 2}).contiguous(), {10, 14})
          .permute({0, 2, 3, 1})
          .contiguous();
  expect_near(DoublingConvolution(conv, GetParam().dtype).forward(frames), plain_convolution(doubled, conv, 1));
}

TEST_P(FrameOps, HeadEqualsNormThenConvolution) {
  const int64_t channels = 96;
  const ConvWeights conv = weights({3, channels, 3, 3, 3});
  const at::Tensor frames = data("frames", {4, 6, 9, channels}), gamma = vector("gamma", channels);
  FeatureCache cache;
  const at::Tensor pixels = HeadConvolution("head", conv, GetParam().dtype).forward(frames, gamma, cache);
  at::Tensor window = at::zeros({6, 6, 9, channels}, frames.options());
  window.narrow(0, 2, 4).copy_(reference::rms_norm({frames, {}}, gamma, Activation::kSilu));
  expect_near(pixels, plain_convolution(window, conv, 1).permute({0, 3, 1, 2}));
}

TEST(PixelPatches, OrdersOfPlanesAreThoseOfTheTwoReleases) {
  at::Tensor planes = at::zeros({1, 12, 2, 3});
  planes[0][4 + 1][1][2] = 1;  // the second colour's second place
  for (const auto& [order, row, column] :
       {std::tuple{PlaneOrder::kRowsFirst, 2, 5}, {PlaneOrder::kColumnsFirst, 3, 4}}) {
    const at::Tensor pixels = pixels_of_planes(planes, order);
    ASSERT_EQ(pixels.sizes(), at::IntArrayRef({1, 3, 4, 6}));
    EXPECT_EQ(pixels[0][1][row][column].item<float>(), 1);
    EXPECT_TENSORS_IDENTICAL(planes_of_frames(pixels.permute({0, 2, 3, 1}).contiguous(), order),
                             planes.permute({0, 2, 3, 1}).contiguous());
  }
  EXPECT_TENSORS_IDENTICAL(pixels_of_planes(planes, PlaneOrder::kRowsFirst), at::pixel_shuffle(planes, 2));
}

// Bounds: docs/numerics.md, "VAE, one operation".
INSTANTIATE_TEST_SUITE_P(Cpu, FrameOps,
                         ::testing::Values(DeviceCase{at::kCPU, at::kFloat, 2e-6},
                                           DeviceCase{at::kCPU, at::kBFloat16, 4e-3}));
INSTANTIATE_TEST_SUITE_P(Cuda, FrameOps,
                         ::testing::Values(DeviceCase{kGpu, at::kFloat, 2e-6}, DeviceCase{kGpu, at::kBFloat16, 4e-3}));

TEST(LatentStats, RoundsBeforeItInvertsInBfloat16) {
  const LatentStats exact(16, at::kCPU, at::kFloat), rounded(16, at::kCPU, at::kBFloat16);
  const at::Tensor ones = at::ones({1, 1, 1, 16}, at::kFloat);
  EXPECT_NEAR(exact.denormalise(ones).flatten()[0].item<float>(), 2.0613f, 1e-4);
  EXPECT_EQ(rounded.denormalise(ones.to(at::kBFloat16)).flatten()[0].item<float>(), 2.0625f);
  const at::Tensor latents = formula_data("latents", {2, 3, 4, 16}, 2.0);
  EXPECT_TENSORS_CLOSE(exact.normalise(exact.denormalise(latents)), latents, 1e-5, 1e-6);
}

}  // namespace
}  // namespace flashblock::testing
