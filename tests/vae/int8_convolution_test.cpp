// Convolutions in 8 bits: rounding and sums against float64, kernels against LibTorch's operators, the decoder.
#include "vae/int8_convolution.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/error.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/test_data.h"
#include "tests/vae/device_cases.h"
#include "vae/causal_conv3d.h"
#include "vae/feature_cache.h"
#include "vae/frame_ops.h"
#include "vae/latent_decoder.h"
#include "weights/weight_store.h"

namespace flashblock::testing {
namespace {

constexpr double kKernelBound = 4e-3;  // docs/numerics.md, "VAE", bfloat16

at::TensorOptions floats_on(at::Device device) { return at::TensorOptions(at::kFloat).device(device); }

struct Int8Size {
  int64_t in_channels, out_channels, frames, height, width;
};

/// A convolution of random frames, and the same in float64 from its formula.
struct Int8Case {
  Int8Case(const Int8Size& size, at::Device device, at::ScalarType dtype)
      : gamma(at::randn({size.in_channels}, floats_on(device))),
        weights{at::randn({size.out_channels, size.in_channels, 3, 3, 3}, floats_on(device)),
                at::randn({size.out_channels}, floats_on(device))},
        x(at::randn({size.frames + 2, size.height, size.width, size.in_channels}, floats_on(device)).to(dtype)),
        convolution(weights, gamma, dtype) {}

  at::Tensor gamma;
  ConvWeights weights;
  at::Tensor x;  ///< two frames of history first
  Int8Convolution convolution;
};

/// Sums of whole numbers in float64, scaled. Shape: q - zero [T + 2, H, W, Cin]; result [T, H, W, Cout].
at::Tensor sums_in_float64(const at::Tensor& quantised, const Int8Case& c) {
  const Int8Rounding rounding(c.gamma);
  const at::Tensor weight = c.weights.weight / rounding.inverse_steps.view({1, -1, 1, 1, 1});
  const at::Tensor scales = weight.flatten(1).abs().amax(1) / 127;
  const at::Tensor integers = (weight / scales.view({-1, 1, 1, 1, 1})).round();
  const at::Tensor clip = quantised.to(at::kDouble).permute({3, 0, 1, 2}).unsqueeze(0).contiguous();
  const at::Tensor sums =
      at::convolution(clip, integers.to(at::kDouble), {}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, false, {0, 0, 0}, 1);
  return (sums[0].permute({1, 2, 3, 0}) * scales.to(at::kDouble) + c.weights.bias.to(at::kDouble)).contiguous();
}

at::Tensor forward(const Int8Case& c, const at::Tensor& quantised) {
  const int64_t frames = quantised.size(0) - 2;
  at::Tensor result = at::full({frames, c.x.size(1), c.x.size(2), c.convolution.out_channels()}, NAN, c.x.options());
  c.convolution.forward({quantised[0].clone(), quantised[1].clone()}, quantised.narrow(0, 2, frames).clone(), result);
  return result;
}

TEST(Int8Rounding, HasAllNumbersForWhatAChannelReaches) {
  for (const int64_t channels : {16, 96, 384}) {
    const Int8Rounding rounding(at::linspace(-2, 2, channels));
    const double reach = std::min(Int8Rounding::kReach, std::sqrt(static_cast<double>(channels)));
    for (int64_t c = 0; c < channels; ++c) {
      const double step = 1 / rounding.inverse_steps[c].item<double>(), zero = rounding.zeros[c].item<double>();
      const at::Tensor y =
          at::silu(at::linspace(-reach, reach, 2001, at::kDouble) * std::abs(rounding.gamma[c].item<double>()));
      const at::Tensor q = (y / step + zero).round();
      EXPECT_EQ(zero, std::round(zero));
      EXPECT_GE(q.min().item<double>(), 0) << c;
      EXPECT_LE(q.min().item<double>(), 1) << c;
      EXPECT_GE(q.max().item<double>(), 254) << c;
      EXPECT_LE(q.max().item<double>(), 256) << c;  // half a step is cut off where zero was rounded up
    }
  }
}

TEST(Int8Rounding, CutsOffNothingThatAPositionOfFewChannelsCanHold) {
  const at::Tensor gamma = at::ones({64});
  at::Tensor x = at::zeros({1, 1, 2, 64});
  x[0][0][0][5] = 3;  // alone: 8 after the norm
  const Int8Rounding rounding(gamma);
  const at::Tensor y = reference::quantised_norm(x, rounding) / rounding.inverse_steps;
  EXPECT_NEAR(y[0][0][0][5].item<double>(), 8 / (1 + std::exp(-8.0)), 0.02);
  EXPECT_EQ(y[0][0][1].abs().max().item<double>(), 0) << "a zero is exact";
}

TEST(Int8Convolution, SumsWholeNumbers) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const Int8Case c({16, 24, 3, 5, 7}, at::kCPU, dtype);
    const at::Tensor quantised = c.convolution.quantise(c.x);
    EXPECT_TENSORS_IDENTICAL(quantised, quantised.round());
    EXPECT_TENSORS_NEAR_IN_NORM(quantised, reference::quantised_norm(c.x, Int8Rounding(c.gamma)), 0);
    const double bound = dtype == at::kFloat ? 1e-6 : 4e-3;
    const at::Tensor expected = sums_in_float64(quantised, c);
    EXPECT_TENSORS_NEAR_IN_NORM(forward(c, quantised), expected, bound);
    at::Tensor sum = at::ones(expected.sizes(), c.x.options());
    c.convolution.add_to(sum, {quantised[0], quantised[1]}, quantised.narrow(0, 2, 3));
    EXPECT_TENSORS_NEAR_IN_NORM(sum, expected + 1, bound);
    const Int8Convolution next({at::randn({8, 24, 3, 3, 3}), {}}, at::randn({24}), dtype);
    const at::Tensor inner =
        c.convolution.forward_quantised({quantised[0], quantised[1]}, quantised.narrow(0, 2, 3), next);
    EXPECT_LE((inner.to(at::kDouble) - next.quantise(expected.to(dtype)).to(at::kDouble)).abs().mean().item<double>(),
              dtype == at::kFloat ? 1e-3 : 0.3);
  }
}

TEST(Int8Convolution, IsNearTheConvolution) {
  const Int8Case c({96, 32, 2, 9, 8}, at::kCPU, at::kFloat);
  at::Tensor y = at::zeros(c.x.sizes(), c.x.options());
  rms_norm({c.x, {}}, c.gamma, Activation::kSilu, y);
  const at::Tensor clip = y.permute({3, 0, 1, 2}).unsqueeze(0).contiguous();
  const at::Tensor exact =
      at::convolution(clip, c.weights.weight, c.weights.bias, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, false, {0, 0, 0}, 1)[0];
  // Steps of 8 / 255 in numbers of spread 0.5, and weights of 4 standard deviations in 127 steps.
  EXPECT_TENSORS_NEAR_IN_NORM(forward(c, c.convolution.quantise(c.x)), exact.permute({1, 2, 3, 0}), 2.5e-2);
}

/// A video through one convolution, in calls of several lengths.
void expect_same_video_in_any_calls(const Int8Size& size, at::Device device, at::ScalarType dtype) {
  const Int8Case c(size, device, dtype);
  const CausalConv3d convolution("slot", c.weights, dtype, c.gamma);
  FeatureCache whole_cache;
  const at::Tensor video = c.x;
  const at::Tensor whole = convolution.forward_normalised({video, {}}, c.gamma, whole_cache).frames;
  const at::Tensor zeros = at::zeros({2, size.height, size.width, size.in_channels}, c.x.options());
  const at::Tensor quantised = reference::quantised_norm(at::cat({zeros, video}), Int8Rounding(c.gamma));
  EXPECT_TENSORS_NEAR_IN_NORM(whole, sums_in_float64(quantised, c), dtype == at::kFloat ? 1e-6 : 6e-3);
  for (const std::vector<int64_t>& calls : {std::vector<int64_t>{1, 4, 4, 4}, {1, 1, 1, 8, 1, 1}, {6, 7}}) {
    FeatureCache cache;
    std::vector<at::Tensor> parts;
    int64_t first = 0;
    for (const int64_t count : calls) {
      parts.push_back(convolution.forward_normalised({video.narrow(0, first, count), {}}, c.gamma, cache).frames);
      first += count;
    }
    EXPECT_TENSORS_IDENTICAL(at::cat(parts), whole) << ::testing::PrintToString(calls);
  }
}

TEST(Int8Convolution, AVideoInAnyCallsHasTheSameBits) {
  expect_same_video_in_any_calls({16, 8, 11, 5, 6}, at::kCPU, at::kFloat);
}

TEST(Int8Convolution, PlanesHoldWhatTheyWereMadeOf) {
  const Int8Rounding rounding(at::randn({32}));
  const at::Tensor quantised = reference::quantised_norm(at::randn({2, 3, 4, 32}), rounding);
  const at::Tensor planes = reference::to_planes(quantised, rounding);
  EXPECT_EQ(planes.sizes(), at::IntArrayRef({2, 2, 5, 6, 16}));
  EXPECT_TENSORS_IDENTICAL(reference::from_planes(planes, rounding), quantised);
  EXPECT_EQ(planes[1][1][0][3][7].item<double>(), rounding.zeros[16 + 7].item<double>());
}

double decibels(const at::Tensor& a, const at::Tensor& b) {
  return -10 * std::log10((a - b).to(at::kDouble).square().mean().item<double>());
}

/// docs/numerics.md, "The decoder in 8-bit integers": at least 48 dB for random latents, which are noisier than a
/// model's.
TEST(Int8Decoder, IncludedModelsFramesAreNearTheExactOnes) {
  const auto store = WeightStore::open(test_data("../../assets/demo/wan_vae.safetensors"));
  const at::Tensor latents = formula_data("latents", {1, 2, 16, 4, 6}, 1.7);  // uniform, of spread 1
  const int threads = at::get_num_threads();
  at::set_num_threads(1);  // thousands of tiny operations
  const at::Tensor exact = load_latent_decoder(*store, at::kCPU, at::kFloat)->decode(latents);
  const at::Tensor int8 = load_latent_decoder(*store, at::kCPU, at::kFloat, DecoderPrecision::kInt8)->decode(latents);
  at::set_num_threads(threads);
  EXPECT_GE(decibels(int8, exact), 48);
  EXPECT_LE(decibels(int8, exact), 70) << "not in 8 bits";
}

TEST(Int8Decoder, PrecisionsAreReadByName) {
  for (const auto precision : {DecoderPrecision::kNative, DecoderPrecision::kInt8})
    EXPECT_EQ(parse_decoder_precision(to_string(precision)), precision);
  EXPECT_THROW(parse_decoder_precision("fp8"), ConfigError);
}

class Int8Cuda : public ::testing::Test {
 protected:
  void SetUp() override {
    FB_SKIP_WITHOUT_GPU(kGpu);
    const Int8Case c({96, 96, 1, 2, 2}, kGpu, at::kBFloat16);
    if (!c.convolution.quantises()) GTEST_SKIP() << "not a Hopper GPU: LibTorch's operators compute these convolutions";
  }
};

/// NaN or 255 in the memory that the next tensor of this size gets: what a kernel leaves out shows.
void spoil(const at::Tensor& like) { at::full(like.sizes(), 255, like.options()); }

void expect_nearly_equal(const at::Tensor& actual, const at::Tensor& expected) {
  const at::Tensor difference = (actual.to(at::kInt) - expected.to(at::kInt)).abs();
  EXPECT_LE(difference.max().item<int>(), 1);
  EXPECT_LE(difference.to(at::kFloat).mean().item<double>(), 0.02);
}

/// Both results of the norm, and all ways to write a convolution.
void expect_kernels(const Int8Size& size) {
  SCOPED_TRACE(::testing::PrintToString(
      std::vector<int64_t>{size.in_channels, size.out_channels, size.frames, size.height, size.width}));
  const Int8Case c(size, kGpu, at::kBFloat16);
  const Int8Rounding rounding(c.gamma);
  spoil(reference::to_planes(c.x.to(at::kFloat), rounding));
  const at::Tensor planes = c.convolution.quantise(c.x);
  expect_nearly_equal(planes, reference::to_planes(reference::quantised_norm(c.x, rounding), rounding));
  // In float32 the same class has no kernels.
  const at::Tensor quantised = reference::from_planes(planes, rounding);
  const Int8Convolution plain(c.weights, c.gamma, at::kFloat);
  const at::Tensor latest = quantised.narrow(0, 2, size.frames);
  at::Tensor expected = at::zeros({size.frames, size.height, size.width, size.out_channels}, floats_on(kGpu));
  plain.forward({quantised[0], quantised[1]}, latest, expected);
  EXPECT_TENSORS_NEAR_IN_NORM(forward(c, planes), expected, kKernelBound);
  at::Tensor sum = at::randn(expected.sizes(), c.x.options()) * 10;
  const at::Tensor expected_sum = sum.to(at::kFloat) + expected;
  const Int8Convolution::History history{planes[0], planes[1]};
  c.convolution.add_to(sum, history, planes.narrow(0, 2, size.frames));
  EXPECT_TENSORS_NEAR_IN_NORM(sum, expected_sum, kKernelBound);
  if (!c.convolution.quantises()) return;
  const at::Tensor next_gamma = at::randn({size.out_channels}, floats_on(kGpu));
  const Int8Convolution next({at::randn({96, size.out_channels, 3, 3, 3}, floats_on(kGpu)), {}}, next_gamma,
                             at::kBFloat16);
  const Int8Rounding next_rounding(next_gamma);
  const at::Tensor expected_planes =
      reference::to_planes(reference::quantised_norm(expected, next_rounding), next_rounding);
  spoil(expected_planes);
  const at::Tensor inner = c.convolution.forward_quantised(history, planes.narrow(0, 2, size.frames), next);
  expect_nearly_equal(inner, expected_planes);
}

TEST_F(Int8Cuda, ConvolutionsOfOddSizes) {
  for (const Int8Size& size : {Int8Size{96, 96, 3, 5, 7},
                               {192, 192, 2, 2, 300},
                               {96, 192, 1, 1, 1},
                               {384, 384, 2, 130, 2},
                               {96, 288, 1, 16, 16},
                               {384, 96, 5, 9, 13},
                               {192, 96, 1, 33, 31}})
    expect_kernels(size);
}

TEST_F(Int8Cuda, ConvolutionsOfTheWanVae) {
  for (const Int8Size& size : {Int8Size{96, 96, 2, 480, 832},
                               {192, 192, 2, 240, 416},
                               {384, 384, 2, 120, 208},
                               {192, 384, 2, 120, 208},
                               {384, 384, 1, 60, 104},
                               {384, 384, 3, 36, 64}})
    expect_kernels(size);
}

TEST_F(Int8Cuda, AVideoInAnyCallsHasTheSameBits) {
  expect_same_video_in_any_calls({96, 96, 11, 11, 20}, kGpu, at::kBFloat16);
}

TEST_F(Int8Cuda, OtherWidthsAreComputedByOperators) {
  for (const Int8Size& size : {Int8Size{32, 96, 2, 5, 6}, {96, 32, 2, 5, 6}, {288, 96, 2, 4, 4}}) {
    const Int8Case c(size, kGpu, at::kBFloat16);
    EXPECT_FALSE(c.convolution.quantises());
    const at::Tensor quantised = c.convolution.quantise(c.x);
    EXPECT_EQ(quantised.dim(), 4);
    EXPECT_TENSORS_NEAR_IN_NORM(forward(c, quantised), sums_in_float64(quantised, c), 6e-3);
  }
}

/// At the published widths, with formula weights. Bounds in norm: docs/numerics.md, "The decoder in 8-bit integers".
TEST_F(Int8Cuda, DecoderIsNearTheExactOne) {
  const auto store = formula_store(vae_shapes(96));
  const at::Tensor latents = formula_data("latents", {1, 3, 16, 12, 16}, 1.7).to(kGpu);
  const at::Tensor exact = load_latent_decoder(*store, kGpu, at::kFloat)->decode_unclamped(latents);
  const auto int8 = load_latent_decoder(*store, kGpu, at::kBFloat16, DecoderPrecision::kInt8);
  const at::Tensor frames = int8->decode_unclamped(latents);
  const double error = relative_norm_error(frames, exact);
  RecordProperty("error", std::to_string(error));
  EXPECT_LE(error, 6e-2);
  EXPECT_GE(error, 1e-3) << "not in 8 bits";
  int8->reset();
  EXPECT_TENSORS_IDENTICAL(int8->decode_unclamped(latents), frames) << "a second time";
}

}  // namespace
}  // namespace flashblock::testing
